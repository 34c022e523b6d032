"""The model as MLflow serves it: a pyfunc from code, whose data are the files of model/.

What is registered is described from the content alone: torch is imported where a model is loaded, and not before.
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
    """Return what MLflow shows of params and answer, and checks params against.

    It names no inputs, since MLflow has no way to say of a table that it may be empty.
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
    """Write a version as MLflow reads it: what `Model.log` asks of a flavor, which is given its own options, too."""
    described.pop("validate_serving_input", None)
    mlflow.pyfunc.save_model(path, loader_module=__name__, **described)


def _load_pyfunc(path: str) -> Sampler:
    """Return what MLflow asks predictions of (its entry point into a loader module)."""
    from pipeline.serving import sampler

    return sampler.load(Path(path))
