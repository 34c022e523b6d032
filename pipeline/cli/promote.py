"""The verb `promote`: a version becomes champion if the gate allows it, or for a recorded reason."""

from __future__ import annotations

import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from pipeline import tracking
from pipeline.models import saved, storage
from pipeline.params import Params
from pipeline.registry import champion as champions
from pipeline.registry import gate, leaderboard, ledger, versions
from pipeline.registry.gate import Judgement
from pipeline.registry.ledger import CHAMPION, Entry
from pipeline.registry.versions import CHALLENGER
from pipeline.system import git, project
from pipeline.system.errors import TrackingError

CODES = {"promoted": 0, "undecided": 3, "refused": 4}
TRIED = 16
"""Samples that a model must draw before it becomes champion."""


def promote(target: str | None, forced: str | None) -> tuple[str, int]:
    """Promote a version if the gate allows it, or for the reason `forced` if given; return what to print and exit with.

    Raises:
        UserError: there is no such version, its files are corrupt, or another process moved the champion meanwhile.
    """
    client = tracking.connect()
    name, challenger = _own(client) if target is None else _named(client, target)
    with tracking.reaching(), champions.exclusive(client, name):
        before = champions.aliases(client, name)
        if target is None and before.get(CHALLENGER) != challenger:  # DVC restored it without running `register`
            client.set_registered_model_alias(name, CHALLENGER, challenger)
            before[CHALLENGER] = challenger
    champion = before.get(CHAMPION)
    if challenger == champion:
        return f"version {challenger} of {name} is already the champion", CODES["promoted"]
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
        champions.move(client, name, before, entry)
    against = f" against champion {champion}" if champion else ""
    reasons = (f"  {reason}" for reason in judgement.reasons)
    return "\n".join([f"{outcome}: version {challenger} of {name}{against}", *reasons]), CODES[outcome]


def _own(client: MlflowClient) -> tuple[str, str]:
    """Return the name and the version of the model in this workspace, even if DVC restored it."""
    name, digest = champions.own_name(), saved.model_digest(project.workspace() / project.MODEL)
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
    return versions.find(client, champions.own_name(), digest)


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
    """Refuse a model with corrupt weights or non-finite samples, even with --force.

    Raises:
        ArtifactError: the model is unsound.
    """
    storage.load(folder).sample(TRIED, 0)
