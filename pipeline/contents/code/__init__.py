"""Content `code`: source code, cut into windows of tokens."""
