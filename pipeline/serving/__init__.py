"""A registered version as MLflow loads and serves it; each version contains the code that this package imports."""
