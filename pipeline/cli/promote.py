"""The verbs `promote`, `rollback`, `history` and `leaderboard`, which move the champion on evidence and record it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipeline import tracking
from pipeline.models import saved, storage
from pipeline.params import Params
from pipeline.registry import claims, gate, leaderboard, ledger, versions
from pipeline.registry.gate import Judgement
from pipeline.registry.ledger import CHAMPION, PREVIOUS, Entry
from pipeline.registry.lineage import Registered
from pipeline.registry.versions import CHALLENGER
from pipeline.system import git, project
from pipeline.system.errors import TrackingError, UserError

CODES = {"promoted": 0, "undecided": 3, "refused": 4}
TRIED = 16
"""Samples that a model must draw before it becomes champion."""


def promote(target: str | None, forced: str | None) -> int:
    """Promote a version if the gate allows it, or for the reason `forced` if given; return the exit code.

    Raises:
        UserError: there is no such version, its files are damaged, or another process moved the champion meanwhile.
    """
    client = tracking.connect()
    name, challenger = _own(client) if target is None else _named(client, target)
    with tracking.reaching(), _alone(client, name):
        before = _aliases(client, name)
        if target is None and before.get(CHALLENGER) != challenger:  # DVC restored it without running `register`
            client.set_registered_model_alias(name, CHALLENGER, challenger)
            before[CHALLENGER] = challenger
    champion = before.get(CHAMPION)
    if challenger == champion:
        _say(f"version {challenger} of {name} is already the champion")
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
            scores={each.score: [each.a, each.b, each.low, each.high, each.word] for each in judgement.verdicts},
        )
        _move(client, name, before, entry)
    _say(f"{outcome}: version {challenger} of {name}" + (f" against champion {champion}" if champion else ""))
    for reason in judgement.reasons:
        _say(f"  {reason}")
    return CODES[outcome]


def rollback(name: str | None, reason: str) -> None:
    """Restore the previous champion.

    Raises:
        UserError: there is none, or another process moved the champion meanwhile.
    """
    name, client = name or _own_name(), tracking.connect()
    with tracking.reaching(), _alone(client, name):
        before = _aliases(client, name)
    champion, previous = before.get(CHAMPION), before.get(PREVIOUS)
    if previous is None or previous == champion:
        raise TrackingError(f"{name} has no previous champion to restore; `pipeline history` lists past champions")
    _move(client, name, before, Entry("rollback", champion, previous, champion, "", reason))
    _say(f"version {previous} of {name} is champion again, in place of {champion}")


def history(name: str | None) -> None:
    """Print all promotions and rollbacks of a model."""
    name, client = name or _own_name(), tracking.connect()
    with tracking.reaching(), _alone(client, name):
        _aliases(client, name)
        found = ledger.entries(client, name)
    for entry in found:
        versions = f"{entry.before or 'none'} -> {entry.champion}"
        _say(f"{entry.when}  {entry.what:9}  {versions}  by {entry.who}  {entry.verdict}".rstrip())
        _say(f"    {entry.reason}")
    if not found:
        _say(f"{name} has had no champion yet")


def show(name: str | None, as_json: bool) -> None:
    """Print the leaderboard of a model, as a table or as JSON."""
    name, client = name or _own_name(), tracking.connect()
    with tracking.reaching():
        _assert_registered(client, name)
    found = leaderboard.rows(client, name, Params.load(project.workspace()).gate.decides)
    found = leaderboard.marked(client, found)
    _say(json.dumps([asdict(row) for row in found], indent=2) if as_json else leaderboard.table(found))


def _own(client: MlflowClient) -> tuple[str, str]:
    """Return the name and the version of the model in this workspace, even if DVC restored it."""
    name, digest = _own_name(), saved.model_digest(project.workspace() / project.MODEL)
    with tracking.reaching():
        found = versions.find(client, name, digest)
    if found is None:
        raise TrackingError(f"the model of this workspace is not registered as {name}; run `dvc repro -f -s register`")
    return name, str(found.version)


def _named(client: MlflowClient, target: str) -> tuple[str, str]:
    """Return the name and the version that a user names; the name of a model means its challenger.

    Raises:
        TrackingError: there is no such version.
    """
    with tracking.reaching():
        if not target.startswith("models:/") and tracking.is_registered(client, target):
            challenger = ledger.aliases(client, target).get(CHALLENGER)
            if challenger is None:
                raise TrackingError(
                    f"{target} has no version with the alias {CHALLENGER}; run `dvc repro` to register one"
                )
            return target, challenger
        uri = target if target.startswith("models:/") else f"models:/{target}"
        found = tracking.version(client, uri) or tracking.registered(client, target) or _restored(client, target)
    if found is None:
        raise TrackingError(
            f"{target} is not a registered model, NAME/VERSION, models:/NAME/VERSION, run id or DVC experiment; "
            "`pipeline leaderboard` lists the versions"
        )
    return str(found.name), str(found.version)


def _restored(client: MlflowClient, target: str) -> ModelVersion | None:
    """Return the version of the model in a commit or DVC experiment, even if DVC restored it from another one."""
    about = project.MODEL / "model.json"
    with tempfile.TemporaryDirectory() as temporary:
        if not git.fetch(project.workspace(), target, (about,), Path(temporary)):
            return None
        digest = saved.model_digest(Path(temporary) / project.MODEL)
    return versions.find(client, _own_name(), digest)


def _judge(
    client: MlflowClient, name: str, challenger: str, champion: str | None, temporary: Path
) -> tuple[Judgement, str]:
    """Return the gate's judgement, and the digest of the challenger's protocol."""
    rules = Params.load(project.workspace()).gate
    _assert_sound(versions.download(client, f"models:/{name}/{challenger}", temporary / "model"))
    own = leaderboard.evidence(client, f"models:/{name}/{challenger}")
    held = leaderboard.evidence(client, f"models:/{name}/{champion}") if champion else None
    judgement, digest = gate.judge(own, held, rules), str(own.protocol.get("digest", ""))
    if held is None and judgement.outcome == "promoted":
        for row in leaderboard.rows(client, name, rules.decides):
            if row.version != challenger and row.protocol == digest:
                better = gate.judge(leaderboard.evidence(client, row.uri), own, rules)
                if better.outcome == "promoted":
                    reasons = (f"version {row.version} is better: {reason}" for reason in better.reasons)
                    return Judgement("refused", tuple(reasons)), digest
    return judgement, digest


def _assert_sound(folder: Path) -> None:
    """Refuse a model with damaged weights or non-finite samples, even with --force.

    Raises:
        ArtifactError: the model is unsound.
    """
    storage.load(folder).sample(TRIED, 0)


def _move(client: MlflowClient, name: str, before: dict[str, str], entry: Entry) -> None:
    """Move the champion, unless the aliases have changed since the judgement."""
    with tracking.reaching(), _alone(client, name):
        now = _aliases(client, name)
        if any(now.get(alias) != before.get(alias) for alias in (CHALLENGER, CHAMPION, PREVIOUS)):
            last = ledger.entries(client, name)[-1:]
            by = f" by {last[0].who} at {last[0].when}" if last else ""
            raise UserError(f"the champion or the challenger of {name} was moved meanwhile{by}; run the command again")
        ledger.move(client, name, entry)


def _aliases(client: MlflowClient, name: str) -> dict[str, str]:
    """Return the aliases, after finishing an interrupted move."""
    finished = ledger.finish(client, name)
    if finished:
        sys.stderr.write(f"finished the interrupted {finished.what} of version {finished.champion}\n")
    return ledger.aliases(client, name)


@contextmanager
def _alone(client: MlflowClient, name: str) -> Iterator[None]:
    """Hold a registered model exclusively; refuse a name that is not registered."""
    _assert_registered(client, name)
    with claims.alone(client, name):
        yield


def _assert_registered(client: MlflowClient, name: str) -> None:
    if not tracking.is_registered(client, name):
        raise TrackingError(f"{name} is not a registered model; `mlflow ui` lists the models")


def _own_name() -> str:
    """Return the name under which this workspace registered its model."""
    return Registered.read(project.workspace()).name


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
