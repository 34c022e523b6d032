"""What a served model answers: items that it draws, or that given latents stand for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from numpy.typing import NDArray

from pipeline import models
from pipeline.contents.base import Stored
from pipeline.families.base import CHUNK
from pipeline.rng import SEEDS

MOST = CHUNK
"""Items that one request may ask for, so that it takes no more memory than they do."""
PARAMS = ("n", "seed", "format")
BODY = 16 << 20
"""Bytes of a request that are read: several times what the most latents take, however they are written."""
SERVER = "mlflow.pyfunc.scoring_server"


class Sampler:
    """Answers with n samples of a seed, or with the items that given latents stand for."""

    def __init__(self, model: models.Model) -> None:
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
            raise _refusal(f"format is {form!r}; it must be {' or '.join(content.formats)}")
        z = self._latents(model_input)
        stored = self._drawn(params["n"], params["seed"]) if z is None else self._decoded(z)
        return content.serialise(content.decode(stored), form)

    def _latents(self, rows: Any) -> NDArray[np.float32] | None:
        if isinstance(rows, Mapping) and rows:
            raise _refusal(f"inputs have the fields {', '.join(rows)}; they must be rows of latents, or none: []")
        try:
            z = np.asarray([] if rows is None or isinstance(rows, Mapping) else rows)
        except ValueError as error:
            raise _refusal(f"inputs are no table ({error}); they must be rows of latents, or none: []") from error
        if z.shape[:1] == (0,):
            return None
        if z.dtype.kind not in "iuf":
            raise _refusal("inputs are not all numbers; they must be rows of latents, or none: []")
        if z.ndim != 2 or z.shape[1] != self.latent_dim or len(z) > MOST:
            raise _refusal(
                f"inputs have the shape {z.shape}; latents of this model must be (n, {self.latent_dim}), "
                f"with n from 1 to {MOST}"
            )
        with np.errstate(over="ignore"):
            return z.astype(np.float32)

    def _drawn(self, n: Any, seed: Any) -> Stored:
        if not isinstance(n, int | np.integer) or not 1 <= n <= MOST:
            raise _refusal(f"n is {n}; it must be a whole number from 1 to {MOST}")
        if not isinstance(seed, int | np.integer) or not 0 <= seed < SEEDS:
            raise _refusal(f"seed is {seed}; it must be a whole number from 0 to {SEEDS - 1}")
        return self.model.sample(int(n), int(seed))

    def _decoded(self, z: NDArray[np.float32]) -> Stored:
        family, latents = self.model.family, torch.from_numpy(z)
        x = family.decode_apart(latents)
        # tokens are finite whatever they are drawn from; their probability is not
        likely = family.log_prob(x, latents) if family.spec.vocab_size else None
        if not (np.isfinite(z).all() and torch.isfinite(x if likely is None else likely).all()):
            raise _refusal("inputs are not finite, or so large that the items they stand for are not")
        return self.model.content.spec.quantise(x)


@dataclass(frozen=True)
class Held:
    """How MLflow's server answers a body, which it reads before any model sees it, held to what can be read."""

    answer: Callable[..., Any]

    def __call__(self, data: bytes, *rest: Any) -> Any:
        """Return the answer.

        Raises:
            MlflowException: the body is too long, or a parser stumbles over it, as over integers of thousands of digits
                or lists in lists without an end; MLflow would answer 500 to that.
        """
        if len(data) > BODY:
            raise _refusal(f"the body has {len(data)} bytes; it may have {BODY}")
        try:
            return self.answer(data, *rest)
        except MlflowException:
            raise
        except Exception as error:
            raise _refusal(f"the body cannot be read ({type(error).__name__}: {error})") from error


def load(folder: Path) -> Sampler:
    """Return a model as it answers requests.

    From now on MLflow refuses params that it would only warn of, and its server, where one is, what it cannot read.
    """
    logging.getLogger("mlflow.models.utils").addFilter(_strict)
    server: Any = sys.modules.get(SERVER)
    if server and not isinstance(server.invocations, Held):
        server.invocations = Held(server.invocations)
    return Sampler(models.load(folder))


def _refusal(said: str) -> MlflowException:
    return MlflowException(said, INVALID_PARAMETER_VALUE)


def _strict(record: logging.LogRecord) -> bool:
    """Make an error of MLflow's warning that it drops what `params` of a request names and the signature does not."""
    said, found, _ = record.getMessage().partition(" are ignored for inference. Supported params are: ")
    if found and all(repr(name) in record.getMessage() for name in PARAMS):
        raise _refusal(f"{said}; params may be {', '.join(PARAMS)}")
    return True
