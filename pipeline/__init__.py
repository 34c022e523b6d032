"""A training pipeline for generative models: DVC stages, Lightning training, MLflow tracking and registry."""

import os

# MLflow decides when it is imported, by whichever module comes first; what a user has set stands
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
