"""Mutual exclusion on registered models: one process at a time changes a model, from any machine."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from mlflow import MlflowClient

from pipeline.system import disk
from pipeline.system.errors import TrackingError
from pipeline.system.processes import Process

CLAIM = "claim."
LIFE = 120.0
"""Seconds after which a claim from another machine counts as left behind by a killed process."""
TRIES, PAUSE = 8, 1.0
"""Attempts to claim a model, and the maximum of seconds between two."""


@dataclass(frozen=True)
class Claim(Process):
    """The process that claims a model, and when it made the claim, in seconds since 1970."""

    made: float


@contextmanager
def alone(client: MlflowClient, name: str) -> Iterator[None]:
    """Hold a registered model exclusively among all callers of this function.

    MLflow has no compare-and-set. So each process first writes a tag of its own and then looks for the tags of others:
    of two concurrent processes at least one sees the other and withdraws. If both do, they retry after random pauses.

    Raises:
        TrackingError: another process held the model at each attempt.
    """
    key = f"{CLAIM}{uuid.uuid4().hex}"
    for _ in range(TRIES):
        claim = Claim(**asdict(Process.this()), made=time.time())
        client.set_registered_model_tag(name, key, json.dumps(asdict(claim)))
        try:
            other = _other(client, name, key)
            if other is None:
                yield
                return
        finally:
            client.delete_registered_model_tag(name, key)
        time.sleep(random.SystemRandom().uniform(0, PAUSE))  # random, so that two processes do not collide again
    raise TrackingError(f"{other} is changing the aliases of {name}; run it again in a moment")


def _other(client: MlflowClient, name: str, own: str) -> Process | None:
    """Return another process that holds a claim; withdraw the claims of dead processes."""
    for key, text in client.get_registered_model(name).tags.items():
        if key.startswith(CLAIM) and key != own:
            claim = disk.parse_json(text, Claim, f"tag {key} of {name}", "delete it on the model's page in MLflow")
            if claim.alive if claim.here else time.time() - claim.made < LIFE:
                return claim
            client.delete_registered_model_tag(name, key)
    return None
