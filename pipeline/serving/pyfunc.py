"""The model as MLflow serves it: a pyfunc of this code, with the files of model/ as its data.

Registration describes the model by its content alone, so torch is imported only when a model is loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import numpy as np
from mlflow.models import ModelSignature
from mlflow.types import DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from pipeline.contents.base import Content

if TYPE_CHECKING:
    from pipeline.serving.sampler import Sampler

INPUT_EXAMPLE: tuple[list[Any], dict[str, Any]] = ([], {"n": 4, "seed": 0})


def signature(content: Content) -> ModelSignature:
    """Return the signature by which MLflow shows params and answers, and checks params.

    It states no inputs, since MLflow cannot express a table that may be empty.
    """
    item = np.zeros((1, *content.spec.shape), content.spec.dtype)
    answer = np.asarray(content.serialise(content.decode(item), content.formats[0]))
    # MLflow has one type for texts of any length
    kind = np.dtype(str) if answer.dtype.kind == "U" else answer.dtype
    params = [
        ParamSpec("n", DataType.long, 1),
        ParamSpec("seed", DataType.long, 0),
        ParamSpec("format", DataType.string, content.formats[0]),
    ]
    return ModelSignature(outputs=Schema([TensorSpec(kind, (-1, *answer.shape[1:]))]), params=ParamSchema(params))


def save_model(path: str, **described: Any) -> None:
    """Write a version in MLflow's format; `Model.log` calls this as its flavor, and passes its own options as well."""
    described.pop("validate_serving_input", None)
    mlflow.pyfunc.save_model(path, loader_module=__name__, **described)


def _load_pyfunc(path: str) -> Sampler:
    """Return the object that MLflow asks for predictions (MLflow's entry point into a loader module)."""
    from pipeline.serving import sampler

    return sampler.load(Path(path))
