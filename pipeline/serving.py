"""The model as MLflow serves it: a pyfunc from code, whose data are the files of model/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import models

INPUT_EXAMPLE = {"n": 4, "seed": 0}


class Sampler:
    """Answers {"n": 16, "seed": 0} with n raw items; the same seed gives the same ones."""

    def __init__(self, model: models.Model) -> None:
        """Set the model."""
        self.model = model

    def predict(self, model_input: Any) -> NDArray[Any]:
        """Return samples; an image model's are (n, height, width, channels) uint8.

        Args:
            model_input: what MLflow makes of the input, a data frame of one row, or the mapping itself.

        Raises:
            ValueError: n is below 1, or seed below 0.
        """
        n, seed = (int(np.asarray(model_input[name]).reshape(-1)[0]) for name in ("n", "seed"))
        if n < 1 or seed < 0:
            raise ValueError(f"n is {n} and seed is {seed}; n must be at least 1, seed at least 0")
        return np.ascontiguousarray(self.model.content.decode(self.model.sample(n, seed)))


def _load_pyfunc(path: str) -> Sampler:
    """Return what MLflow asks predictions of (its entry point into a loader module)."""
    return Sampler(models.load(Path(path)))
