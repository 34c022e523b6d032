"""params.yaml: its schema, checked before anything is computed."""

from pipeline.params.schema import (
    FILE,
    EvaluateParams,
    FeaturesParams,
    GateParams,
    Params,
    RegisterParams,
    RuntimeParams,
    Split,
    TrainParams,
    flatten,
)

__all__ = [
    "FILE",
    "EvaluateParams",
    "FeaturesParams",
    "GateParams",
    "Params",
    "RegisterParams",
    "RuntimeParams",
    "Split",
    "TrainParams",
    "flatten",
]
