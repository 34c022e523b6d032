"""The verb `reproduce`: a version is trained again, and its bytes are compared with those that were registered."""

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

CURES = {
    "code": "the code of the training is not on record: what was not committed is lost, or changed since",
    "data": "bring back the data that it was trained on: `dvc pull`, or the source of data/raw as it was",
    "params": "params.yaml of the commit does not take the params of the version; look at it with --keep DIR",
    "environment": f"install the versions of {ENVIRONMENT}, or train on a machine like that one",
    "model": "nothing that is on record differs: what remains is code that was edited while it trained, or operations "
    "of the accelerator that do not repeat",
}
"""What to do about each kind of difference, the first kind first."""


def reproduce(uri: str, keep: Path | None) -> int:
    """Train a version again and say whether the bytes are the same; return 0 if so, else 1.

    The clone that it is trained in is removed afterwards, unless `keep` says where it is to stay.

    Raises:
        UserError: the version, its commit, difference or data cannot be had.
    """
    workspace = project.workspace()
    if keep is not None and (keep.is_file() or (keep.is_dir() and any(keep.iterdir()))):
        raise UserError(f"--keep is {keep}, where something is already; name a folder that is not there")
    with tempfile.TemporaryDirectory(prefix="reproduce-") as name:
        temporary = Path(name)
        tags, recipe = _fetch(uri, temporary)
        lost = list(_lost(tags, recipe))
        for _, what in lost:
            sys.stderr.write(f"warning: {what}, so other bytes are to be expected\n")
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
    _say(f"other bytes than those of {uri}")
    for kind, what in found:
        _say(f"  {kind:12} {what}")
    kinds = {kind for kind, _ in found}
    _say(next(cure for kind, cure in CURES.items() if kind in kinds))
    return 1


def _fetch(uri: str, temporary: Path) -> tuple[Mapping[str, str], Recipe]:
    """Return the tags of a version, and how it was made."""
    client = tracking.connect()
    with tracking.reaching():
        version = tracking.version(client, uri)
    if version is None:
        raise TrackingError(f"{uri} is no registered version; `mlflow ui` lists what is registered")
    tags = dict(version.tags)
    if LINEAGE not in tags or not tags.get("git.commit"):
        raise TrackingError(f"{uri} does not say how it was made; register it from a commit to have it say so")
    kept = versions.kept(version, temporary)
    folder = versions.download(client, uri, temporary / "registered")
    environment = disk.read_json(kept / ENVIRONMENT, Environment, f"{uri} has lost how it was made; register it again")
    code = environment.pop("code", {})
    return tags, Recipe(tags["git.commit"], SavedModel.read(folder), environment, code, kept)


def _lost(tags: Mapping[str, str], recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the difference that the version keeps."""
    patch = recipe.kept / PATCH
    if tags["git.dirty"] == "true" and not patch.is_file():
        yield "code", f"{PATCH} is lost"
    elif patch.is_file() and disk.sha256(patch) != tags.get("diff_digest"):
        yield "code", f"{PATCH} is not what was recorded"


def _differences(recipe: Recipe, clone: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of each thing that differs, as it was and as it is."""
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
    return f"{name} was {was or 'not there'}, is {is_now or 'not there'}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
