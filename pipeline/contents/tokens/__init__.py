"""What text and code share: documents cut into windows of tokens."""
