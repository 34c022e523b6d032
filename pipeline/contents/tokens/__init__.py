"""The parts that text and code share: documents cut into windows of tokens."""
