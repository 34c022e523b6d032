"""The champion of a registered model: who it is, and how it is moved while nobody else moves it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient

from pipeline import tracking
from pipeline.registry import claims, ledger
from pipeline.registry.ledger import CHAMPION, PREVIOUS, Entry
from pipeline.registry.lineage import Registered
from pipeline.registry.versions import CHALLENGER
from pipeline.system import project
from pipeline.system.errors import TrackingError, UserError


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Return the version of each alias, after finishing an interrupted move; call it within `exclusive`."""
    finished = ledger.finish(client, name)
    if finished:
        sys.stderr.write(f"finished the interrupted {finished.what} of version {finished.champion}\n")
    return ledger.aliases(client, name)


@contextmanager
def exclusive(client: MlflowClient, name: str) -> Iterator[None]:
    """Hold a registered model exclusively.

    Raises:
        TrackingError: it is not registered, or another process holds it.
    """
    assert_registered(client, name)
    with claims.alone(client, name):
        yield


def move(client: MlflowClient, name: str, before: dict[str, str], entry: Entry) -> None:
    """Record an entry and move the champion, unless the aliases have changed since `before`.

    Raises:
        UserError: they have.
    """
    with tracking.reaching(), exclusive(client, name):
        now = aliases(client, name)
        if any(now.get(alias) != before.get(alias) for alias in (CHALLENGER, CHAMPION, PREVIOUS)):
            last = ledger.entries(client, name)[-1:]
            by = f" by {last[0].who} at {last[0].when}" if last else ""
            raise UserError(f"the champion or the challenger of {name} was moved meanwhile{by}; run the command again")
        ledger.move(client, name, entry)


def assert_registered(client: MlflowClient, name: str) -> None:
    """Refuse a name that is not registered.

    Raises:
        TrackingError: that is so.
    """
    if not tracking.is_registered(client, name):
        raise TrackingError(f"{name} is not a registered model; `mlflow ui` lists the models")


def own_name() -> str:
    """Return the name under which this workspace registered its model."""
    return Registered.read(project.workspace()).name
