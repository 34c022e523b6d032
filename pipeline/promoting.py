"""The verbs `promote`, `rollback` and `history`: the champion of a model, moved on evidence and on record."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mlflow import MlflowClient

from pipeline import artefacts, claims, disk, gate, ledger, models, project, registry, tracking
from pipeline.errors import ArtefactError, TrackingError, UserError
from pipeline.evidence import Evidence
from pipeline.gate import Judgement
from pipeline.ledger import CHAMPION, PREVIOUS, Entry
from pipeline.params import Params
from pipeline.registry import CHALLENGER

CODES = {"promoted": 0, "undecided": 3, "refused": 4}
TRIED = 16
"""Samples that a model has to draw before it becomes champion."""


def promote(name: str | None, forced: str | None) -> int:
    """Make the challenger champion if the gate says so, or for a reason that a person gives; return the exit code.

    Raises:
        UserError: there is no challenger, its files are damaged, or somebody else moved the champion meanwhile.
    """
    name, client = name or _own_name(), tracking.connect()
    with tracking.reaching(), _alone(client, name):
        before = _aliases(client, name)
    challenger, champion = before.get(CHALLENGER), before.get(CHAMPION)
    if challenger is None:
        raise TrackingError(f"{name} has no version with the alias {CHALLENGER}; `dvc repro` registers one")
    if challenger == champion:
        _say(f"version {challenger} of {name} is the champion already")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        judgement, digest = _judge(client, name, challenger, champion, Path(temporary))
    outcome = "promoted" if forced is not None else judgement.outcome
    if outcome == "promoted":
        entry = Entry(
            what="promotion",
            before=champion,
            champion=challenger,
            previous=champion,
            verdict=judgement.outcome if forced is None else f"forced, the gate said {judgement.outcome}",
            reason=forced or "; ".join(judgement.reasons),
            protocol_digest=digest,
            figures={each.score: [each.a, each.b, each.low, each.high, each.word] for each in judgement.verdicts},
        )
        _move(client, name, before, entry)
    _say(f"{outcome}: version {challenger} of {name}" + (f" against champion {champion}" if champion else ""))
    for reason in judgement.reasons:
        _say(f"  {reason}")
    return CODES[outcome]


def rollback(name: str | None, reason: str) -> None:
    """Make the previous champion champion again.

    Raises:
        UserError: there is none, or somebody else moved the champion meanwhile.
    """
    name, client = name or _own_name(), tracking.connect()
    with tracking.reaching(), _alone(client, name):
        before = _aliases(client, name)
    champion, previous = before.get(CHAMPION), before.get(PREVIOUS)
    if previous is None or previous == champion:
        raise TrackingError(f"{name} has no previous champion to go back to; `pipeline history` shows what there was")
    _move(client, name, before, Entry("rollback", champion, previous, champion, "", reason))
    _say(f"version {previous} of {name} is champion again, in place of {champion}")


def history(name: str | None) -> None:
    """Say who was champion when, and why."""
    name, client = name or _own_name(), tracking.connect()
    with tracking.reaching(), _alone(client, name):
        _aliases(client, name)
        found = ledger.entries(client, name)
    for entry in found:
        versions = f"{entry.before or 'none'} -> {entry.champion}"
        _say(f"{entry.when}  {entry.what:9}  {versions}  by {entry.who}  {entry.verdict}".rstrip())
        _say(f"    {entry.reason}")
    if not found:
        _say(f"{name} had no champion yet")


def _judge(
    client: MlflowClient, name: str, challenger: str, champion: str | None, temporary: Path
) -> tuple[Judgement, str]:
    """Return what the gate says, and the digest of the challenger's protocol."""
    rules = Params.load(project.workspace()).gate
    _assert_sound(registry.download(client, f"models:/{name}/{challenger}", temporary / "model"))
    evidence = []
    for version in (challenger, champion):
        if version is not None:
            place = temporary / version
            place.mkdir()
            evidence.append(Evidence.read(tracking.evaluated(client, f"models:/{name}/{version}", place).folder))
    judgement = gate.judge(evidence[0], evidence[1] if champion else None, rules)
    return judgement, str(evidence[0].protocol.get("digest", ""))


def _assert_sound(folder: Path) -> None:
    """Refuse a model whose weights are damaged, or that draws no finite samples.

    Raises:
        ArtefactError: that is so, whatever reason is given for a promotion.
    """
    samples = models.load(folder).family.sample(TRIED, 0)
    if not torch.isfinite(samples).all():
        raise ArtefactError(f"{folder}: the model draws samples that are not finite; train it again")


def _move(client: MlflowClient, name: str, before: dict[str, str], entry: Entry) -> None:
    """Move the champion, unless it is not what was judged any more."""
    with tracking.reaching(), _alone(client, name):
        now = _aliases(client, name)
        if any(now.get(alias) != before.get(alias) for alias in (CHALLENGER, CHAMPION, PREVIOUS)):
            last = ledger.entries(client, name)[-1:]
            by = f" by {last[0].who} at {last[0].when}" if last else ""
            raise UserError(
                f"the champion or the challenger of {name} was moved meanwhile{by}; run it again to judge anew"
            )
        ledger.move(client, name, entry)


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Return the aliases, a move that was cut off being finished first."""
    finished = ledger.finish(client, name)
    if finished:
        sys.stderr.write(f"the {finished.what} of version {finished.champion} had been cut off, and is finished now\n")
    return ledger.aliases(client, name)


@contextmanager
def _alone(client: MlflowClient, name: str) -> Iterator[None]:
    """Keep others off a model that has to be registered."""
    if not tracking.is_registered(client, name):
        raise TrackingError(f"{name} is no registered model; `mlflow ui` lists what is registered")
    with claims.alone(client, name):
        yield


def _own_name() -> str:
    """Return the name that this workspace registered its model under."""
    left = disk.read_json(project.workspace() / artefacts.REPORTS / "register" / "version.json")
    return str(left["name"])


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
