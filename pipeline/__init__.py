"""A training pipeline for generative models: DVC stages, Lightning training, MLflow tracking and registry."""
