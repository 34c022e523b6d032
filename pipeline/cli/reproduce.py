"""The verb `reproduce`: retrain a version and compare its bytes with the registered ones."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline import tracking
from pipeline.cli import retrain
from pipeline.cli.retrain import Recipe
from pipeline.models import saved
from pipeline.models.saved import SavedModel
from pipeline.params import flatten
from pipeline.registry import versions
from pipeline.registry.comparison import differences
from pipeline.registry.lineage import ENVIRONMENT, PATCH
from pipeline.registry.versions import DIGEST, LINEAGE
from pipeline.system import disk, project
from pipeline.system.errors import TrackingError, UserError
from pipeline.training.environment import Environment

FIXES = {
    "code": "the training code is not on record: uncommitted changes are lost, or were edited since",
    "data": "restore the training data: run `dvc pull`, or put the original source into data/raw",
    "params": "params.yaml of the commit does not accept the params of the version; inspect it with --keep DIR",
    "environment": f"install the versions in {ENVIRONMENT}, or train on a machine like the one in it",
    "model": "nothing on record differs: the code was edited while the training ran, or operations of the accelerator "
    "are not deterministic",
}
"""What to do about each kind of difference; the first kind found applies."""


def reproduce(uri: str, keep: Path | None) -> int:
    """Retrain a version and report whether the bytes are the same; return 0 if so, else 1.

    The clone in which it is retrained is removed afterwards, unless `keep` names a folder for it.

    Raises:
        UserError: the version, its commit, diff or data is not available.
    """
    workspace = project.workspace()
    if keep is not None and (keep.is_file() or (keep.is_dir() and any(keep.iterdir()))):
        raise UserError(f"--keep is {keep}, which is not an empty folder; name a new one")
    with tempfile.TemporaryDirectory(prefix="reproduce-") as name:
        temporary = Path(name)
        tags, recipe = _fetch(uri, temporary)
        lost = list(_lost(tags, recipe))
        for _, what in lost:
            sys.stderr.write(f"warning: {what}; expect different bytes\n")
        clone = keep.resolve() if keep else temporary / "clone"
        retrain.run(recipe, workspace, clone)
        digest = saved.model_digest(clone / project.MODEL)
        if digest == tags[DIGEST]:
            _say(f"same bytes: sha256 {digest}")
            return 0
        found = [
            *lost,
            *_differences(recipe, clone),
            ("model", _changed("digest", tags[DIGEST], digest)),
        ]
    _say(f"different bytes from {uri}")
    for kind, what in found:
        _say(f"  {kind:12} {what}")
    kinds = {kind for kind, _ in found}
    _say(next(fix for kind, fix in FIXES.items() if kind in kinds))
    return 1


def _fetch(uri: str, temporary: Path) -> tuple[Mapping[str, str], Recipe]:
    """Return the tags and the recipe of a version."""
    client = tracking.connect()
    with tracking.reaching():
        version = tracking.version(client, uri)
    if version is None:
        raise TrackingError(f"{uri} is not a registered version; `mlflow ui` lists the versions")
    tags = dict(version.tags)
    if LINEAGE not in tags or not tags.get("git.commit"):
        raise TrackingError(f"{uri} has no recorded commit and lineage; register it from a git commit")
    kept = versions.kept(version, temporary)
    folder = versions.download(client, uri, temporary / "registered")
    environment = disk.read_json(kept / ENVIRONMENT, Environment, f"{uri} has lost its lineage; register it again")
    code = environment.pop("code", {})
    return tags, Recipe(tags["git.commit"], SavedModel.read(folder), environment, code, kept)


def _lost(tags: Mapping[str, str], recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the kind and the description of what is wrong with the recorded diff."""
    patch = recipe.kept / PATCH
    if tags["git.dirty"] == "true" and not patch.is_file():
        yield "code", f"{PATCH} is missing"
    elif patch.is_file() and disk.sha256(patch) != tags.get("diff_digest"):
        yield "code", f"{PATCH} differs from its recorded digest"


def _differences(recipe: Recipe, clone: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the description of each difference between the records of the two trainings."""
    before, now = recipe.model, SavedModel.read(clone / project.MODEL)
    environment = disk.read_json(clone / project.REPORTS / "train" / ENVIRONMENT, Environment)
    code = environment.pop("code", {})
    parts = {
        "code": differences(recipe.code, code) if recipe.code and code else [],
        "data": differences({"digest": before.data_digest}, {"digest": now.data_digest}),
        "params": differences(flatten(dict(before.params)), flatten(dict(now.params))),
        "environment": differences(flatten(dict(recipe.environment)), flatten(environment)),
    }
    for kind, rows in parts.items():
        for name, was, is_now in rows:
            yield kind, _changed(name, was, is_now)


def _changed(name: str, was: str, is_now: str) -> str:
    return f"{name} was {was or 'missing'}, is {is_now or 'missing'}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
