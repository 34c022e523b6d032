"""Content `text`: prose, cut into windows of tokens."""
