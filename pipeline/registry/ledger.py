"""Who was champion when, and on what grounds: entries that are only ever added, kept with the registered model.

A move of aliases is written down first, then made, then marked as done: one that was cut off in between is finished by
the next, so that no alias is lost and none is moved without an entry.
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
OF_BEFORE = Field(validation_alias=AliasChoices("scores", "figures"))
"""What entries of earlier versions call it as well."""


@dataclass(frozen=True)
class Entry:
    """One move: which version became champion in place of which, who did it, when, and why.

    `previous` is what the alias of that name points at afterwards.
    """

    what: Literal["promotion", "rollback"]
    before: str | None
    champion: str
    previous: str | None
    verdict: str
    reason: str
    protocol_digest: str = ""
    scores: Annotated[Mapping[str, Any], OF_BEFORE] = field(default_factory=dict)
    who: str = field(default_factory=lambda: f"{getpass.getuser()}@{socket.gethostname()}")
    when: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def entries(client: MlflowClient, name: str) -> list[Entry]:
    """Return all entries of a registered model, the oldest first."""
    return _entries(client.get_registered_model(name))


def aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Return which version each alias points at."""
    return {alias: str(version) for alias, version in client.get_registered_model(name).aliases.items()}


def move(client: MlflowClient, name: str, entry: Entry) -> None:
    """Write an entry down, and do as it says."""
    number = len(entries(client, name)) + 1
    client.set_registered_model_tag(name, f"{ENTRY}{number:06d}", json.dumps(asdict(entry), sort_keys=True))
    finish(client, name)


def finish(client: MlflowClient, name: str) -> Entry | None:
    """Do what the last entry says, if that was cut off; return the entry if so."""
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
    cure = "restore the tracking store from a copy"
    return [disk.parse_json(model.tags[key], Entry, f"tag {key} of {model.name}", cure) for key in keys]
