"""A registered version as MLflow loads and serves it; a version carries what this package imports."""
