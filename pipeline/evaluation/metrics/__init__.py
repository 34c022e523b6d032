"""Metrics, as pure functions of features or of raw items."""
