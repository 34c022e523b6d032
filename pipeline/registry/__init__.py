"""Versions of registered models: lineage, model card, comparison, promotion."""
