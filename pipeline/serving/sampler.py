"""What a served model answers: items that it draws, or that given latents stand for."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.contents.base import Stored
from pipeline.models import storage
from pipeline.models.families.base import CHUNK
from pipeline.serving import requests
from pipeline.serving.requests import refusal
from pipeline.system.rng import SEEDS

MOST = CHUNK
"""Items that one request may ask for, so that it takes no more memory than they do."""
PARAMS = ("n", "seed", "format")


class Sampler:
    """Answers with n samples of a seed, or with the items that given latents stand for."""

    def __init__(self, model: storage.Model) -> None:
        """Set the model."""
        self.model = model
        self.latent_dim = model.family.latents(1, torch.Generator()).shape[1]

    def predict(self, model_input: Any, params: Mapping[str, Any]) -> Any:
        """Return raw items as the content's method `serialise` does.

        Args:
            model_input: rows of latents (n, latent_dim), or nothing (None, an empty list or table).
            params: n and seed of what is drawn where there are no latents, and the format of the answer.

        Raises:
            MlflowException: one of them is not what it must be; MLflow answers 400.
        """
        content, form = self.model.content, params["format"]
        if form not in content.formats:
            raise refusal(f"format is {reprlib.repr(form)}; it must be {' or '.join(content.formats)}")
        z = self._latents(model_input)
        stored = self._drawn(params["n"], params["seed"]) if z is None else self._decoded(z)
        return content.serialise(content.decode(stored), form)

    def _latents(self, rows: Any) -> NDArray[np.float32] | None:
        if isinstance(rows, Mapping) and rows:
            raise refusal(f"inputs have the fields {', '.join(rows)}; they must be rows of latents, or none: []")
        try:
            z = np.asarray([] if rows is None or isinstance(rows, Mapping) else rows)
        except ValueError as error:
            raise refusal(f"inputs are no table ({error}); they must be rows of latents, or none: []") from error
        if z.shape[:1] == (0,):
            return None
        if z.dtype.kind not in "iuf":
            raise refusal("inputs are not all numbers; they must be rows of latents, or none: []")
        if z.ndim != 2 or z.shape[1] != self.latent_dim or len(z) > MOST:
            raise refusal(
                f"inputs have the shape {z.shape}; latents of this model must be (n, {self.latent_dim}), "
                f"with n from 1 to {MOST}"
            )
        with np.errstate(over="ignore"):
            return z.astype(np.float32)

    def _drawn(self, n: Any, seed: Any) -> Stored:
        if not isinstance(n, int | np.integer) or not 1 <= n <= MOST:
            raise refusal(f"n is {reprlib.repr(n)}; it must be a whole number from 1 to {MOST}")
        if not isinstance(seed, int | np.integer) or not 0 <= seed < SEEDS:
            raise refusal(f"seed is {reprlib.repr(seed)}; it must be a whole number from 0 to {SEEDS - 1}")
        return self.model.sample(int(n), int(seed))

    def _decoded(self, z: NDArray[np.float32]) -> Stored:
        family, latents = self.model.family, torch.from_numpy(z)
        x = family.decode_apart(latents)
        # tokens are finite whatever they are drawn from; their probability is not
        likely = family.log_prob(x, latents) if family.spec.kind == "tokens" else None
        if not (np.isfinite(z).all() and torch.isfinite(x if likely is None else likely).all()):
            raise refusal("inputs are not finite, or so large that the items they stand for are not")
        return self.model.content.spec.quantise(x)


def load(folder: Path) -> Sampler:
    """Return a model as it answers requests.

    From now on MLflow refuses params that it would only warn of, and its server, where one is, what it cannot read.
    """
    logging.getLogger("mlflow.models.utils").addFilter(_strict)
    sampler = Sampler(storage.load(folder))
    requests.check(MOST, sampler.latent_dim)
    return sampler


def _strict(record: logging.LogRecord) -> bool:
    """Make an error of MLflow's warning that it drops what `params` of a request names and the signature does not."""
    said, found, _ = record.getMessage().partition(" are ignored for inference. Supported params are: ")
    if found and all(repr(name) in record.getMessage() for name in PARAMS):
        raise refusal(f"{said}; params may be {', '.join(PARAMS)}")
    return True
