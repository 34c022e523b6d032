"""Turns at a registered model: whoever changes it does so alone, from whichever machine."""

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
"""Seconds after which a claim from another machine is taken for one of a process that was killed."""
TRIES, PAUSE = 8, 1.0
"""How often a claim is made, and the most seconds between two."""


@dataclass(frozen=True)
class Claim(Process):
    """Who is at a model, and since when, in seconds since 1970."""

    made: float


@contextmanager
def alone(client: MlflowClient, name: str) -> Iterator[None]:
    """Keep others that use this off a registered model meanwhile.

    MLflow can't compare and set. So each writes a tag of its own first and looks for those of others then: of two at
    once at least one sees the other, and withdraws. If both do, they try again after random times.

    Raises:
        TrackingError: another process was at it each time.
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
        time.sleep(random.SystemRandom().uniform(0, PAUSE))  # by chance, so that two who met do not meet again
    raise TrackingError(f"{other} is changing the aliases of {name}; run it again in a moment")


def _other(client: MlflowClient, name: str, own: str) -> Process | None:
    """Return a process that holds a claim; withdraw those of processes that are gone."""
    for key, text in client.get_registered_model(name).tags.items():
        if key.startswith(CLAIM) and key != own:
            claim = disk.parse_json(text, Claim, f"tag {key} of {name}", "delete it on the model's page in MLflow")
            if claim.alive if claim.here else time.time() - claim.made < LIFE:
                return claim
            client.delete_registered_model_tag(name, key)
    return None
