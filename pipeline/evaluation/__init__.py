"""How good a model is: extractors, metrics, pictures, and the report."""
