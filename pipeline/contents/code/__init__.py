"""Content `code`: source code, in windows of tokens."""
