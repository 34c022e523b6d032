"""Content `audio`: sounds as log-mel spectrograms."""
