"""Content `text`: prose, in windows of tokens."""
