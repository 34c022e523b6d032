"""Answer requests to a served model: with samples, or with the items that given latents decode to."""

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
"""Maximum number of items per request, which bounds its memory."""
PARAMS = ("n", "seed", "format")


class Sampler:
    """Answers with n samples of a seed, or with the items that given latents decode to."""

    def __init__(self, model: storage.Model) -> None:
        """Set the model."""
        self.model = model
        self.latent_dim = model.family.latents(1, torch.Generator()).shape[1]

    def predict(self, model_input: Any, params: Mapping[str, Any]) -> Any:
        """Return raw items in the form that the content's method `serialise` gives them.

        Args:
            model_input: rows of latents (n, latent_dim), or nothing (None, an empty list or table).
            params: n and seed of the samples if there are no latents, and the format of the answer.

        Raises:
            MlflowException: an argument is not allowed; MLflow answers 400.
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
            raise refusal(f"inputs are not a table ({error}); they must be rows of latents, or none: []") from error
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
        # tokens are always finite, but for bad latents their probability is not
        likely = family.log_prob(x, latents) if family.spec.kind == "tokens" else None
        if not (np.isfinite(z).all() and torch.isfinite(x if likely is None else likely).all()):
            raise refusal("inputs are not finite, or so large that the items they decode to are not")
        return self.model.content.spec.quantise(x)


def load(folder: Path) -> Sampler:
    """Load a model to answer requests.

    From then on MLflow refuses unknown params instead of warning, and its server, if this process is one, refuses
    bodies that it cannot parse.
    """
    logging.getLogger("mlflow.models.utils").addFilter(_strict)
    sampler = Sampler(storage.load(folder))
    requests.check(MOST, sampler.latent_dim)
    return sampler


def _strict(record: logging.LogRecord) -> bool:
    """Turn MLflow's warning that it ignores a request's `params` that the signature lacks into an error."""
    message, found, _ = record.getMessage().partition(" are ignored for inference. Supported params are: ")
    if found and all(repr(name) in record.getMessage() for name in PARAMS):
        raise refusal(f"{message}; params may be {', '.join(PARAMS)}")
    return True
