"""The ledger of a registered model: an append-only record of who was champion when, and why.

A move of aliases is first recorded, then made, then marked as done. The next command finishes an interrupted move, so
no alias is lost and none moves without an entry.
"""

from __future__ import annotations

import getpass
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel
from pydantic import AliasChoices, Field

from pipeline.system import disk

CHAMPION, PREVIOUS = "champion", "previous"
ENTRY, DONE = "ledger.", "ledger.done"
SCORES_KEYS = Field(validation_alias=AliasChoices("scores", "figures"))
"""The JSON keys of an entry's scores; earlier versions of the pipeline wrote the second one."""


@dataclass(frozen=True)
class Entry:
    """One move of the champion: from which version to which, who did it, when, and why.

    `previous` is the version that the alias `previous` points at afterwards.
    """

    what: Literal["promotion", "rollback"]
    before: str | None
    champion: str
    previous: str | None
    verdict: str
    reason: str
    protocol_digest: str = ""
    scores: Annotated[Mapping[str, Any], SCORES_KEYS] = field(default_factory=dict)
    who: str = field(default_factory=lambda: f"{getpass.getuser()}@{socket.gethostname()}")
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def entries(client: MlflowClient, name: str) -> list[Entry]:
    """Return all entries of a registered model, the oldest first."""
    return _entries(client.get_registered_model(name))


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Return the version that each alias points at."""
    return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}


def move(client: MlflowClient, name: str, entry: Entry) -> None:
    """Record an entry and carry it out."""
    number = len(entries(client, name)) + 1
    client.set_registered_model_tag(name, f"{ENTRY}{number:06d}", json.dumps(asdict(entry), sort_keys=True))
    finish(client, name)


def finish(client: MlflowClient, name: str) -> Entry | None:
    """Carry out the last entry if it was interrupted; return the entry if so."""
    model = client.get_registered_model(name)
    written = _entries(model)
    if int(model.tags.get(DONE, 0)) == len(written):
        return None
    last = written[-1]
    if last.previous is not None:
        client.set_registered_model_alias(name, PREVIOUS, last.previous)
    client.set_registered_model_alias(name, CHAMPION, last.champion)
    client.set_registered_model_tag(name, DONE, str(len(written)))
    return last


def _entries(model: RegisteredModel) -> list[Entry]:
    keys = sorted(key for key in model.tags if key.startswith(ENTRY) and key != DONE)
    fix = "restore the tracking store from a backup"
    return [disk.parse_json(model.tags[key], Entry, f"tag {key} of {model.name}", fix) for key in keys]
