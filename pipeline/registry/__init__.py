"""Registered models and their versions: lineage, model cards, comparison, promotion."""
