"""Evaluation of a model: feature extractors, metrics, pictures, and the report."""
