"""Retraining of a version, in a clone of the repository that shares nothing with it but DVC's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import params
from pipeline.models.saved import SavedModel
from pipeline.registry.lineage import PATCH
from pipeline.system import processes, project, yaml_files
from pipeline.system.errors import ArtifactError, TrainingError
from pipeline.system.git import LOCK

LINKS = "reflink,symlink,copy"
"""How DVC takes prepared data out of its cache: links save disk space, and nothing changes the data."""


@dataclass(frozen=True)
class Recipe:
    """How a version was made: commit, model.json, environment, code, and the folder of its lineage files.

    `code` maps the files that its training imported to their digests.
    """

    commit: str
    model: SavedModel
    environment: Mapping[str, Any]
    code: Mapping[str, str]
    kept: Path


def run(recipe: Recipe, workspace: Path, folder: Path) -> None:
    """Retrain a version from step 0, in a new folder and with a tracking store of its own.

    Raises:
        ArtifactError: the commit, the diff or the data is not available.
        TrainingError: the training failed, or needs several machines.
    """
    if recipe.environment["runtime"]["nodes"] > 1:
        raise TrainingError("the version was trained on several machines; docs/lineage.md describes how to retrain it")
    _say(f"1/3 check out commit {recipe.commit}")
    _check_out(recipe, workspace, folder)
    _set_params(recipe, folder)
    _say("2/3 restore data")
    _bring_data(recipe, workspace, folder)
    _say("3/3 train")
    code = _dvc(recipe, folder, "repro", "--force", "--single-item", "--no-commit", "validate", "train")
    if code:
        raise TrainingError("the training failed, as reported above; inspect the clone with --keep DIR")


def _check_out(recipe: Recipe, workspace: Path, folder: Path) -> None:
    if _git(workspace, "cat-file", "-e", f"{recipe.commit}^{{commit}}"):
        raise ArtifactError(
            f"{workspace}: commit {recipe.commit} is not in this repository; `git fetch` it from where it was trained"
        )
    failure = _git(workspace, "clone", "--quiet", "--shared", "--no-checkout", ".", str(folder))
    failure = failure or _git(folder, "checkout", "--quiet", "--detach", recipe.commit)
    if failure:
        raise ArtifactError(f"{folder}: cannot check out commit {recipe.commit} ({failure}); fix that and run it again")
    patch = recipe.kept / PATCH
    if patch.is_file() and (failure := _git(folder, "apply", "--whitespace=nowarn", str(patch))):
        raise ArtifactError(
            f"{PATCH} of the version does not apply to commit {recipe.commit} ({failure}); restore the original file"
        )


def _set_params(recipe: Recipe, folder: Path) -> None:
    """Write the params of the training over those of the commit, where they differ."""
    path = folder / params.FILE
    try:
        before = yaml_files.parse(path.read_bytes())
        after = dict(before)
        for name, value in {**recipe.model.params, "runtime": recipe.environment["runtime"]}.items():
            after[name] = {**before.get(name, {}), **value} if isinstance(value, Mapping) else value
    except (OSError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{params.FILE} of commit {recipe.commit} cannot be read ({error}); the version cannot be reproduced"
        ) from error
    if after != before:
        path.write_text(yaml.safe_dump(after, sort_keys=False))


def _bring_data(recipe: Recipe, workspace: Path, folder: Path) -> None:
    """Put the prepared data into the clone: from DVC's cache, from its remote, or prepared again from data/raw."""
    _share_cache(workspace, folder)
    if (recipe.kept / LOCK).is_file():
        shutil.copyfile(recipe.kept / LOCK, folder / LOCK)
    prepared = str(project.PREPARED)
    if not _dvc(recipe, folder, "checkout", "--quiet", prepared) or not _dvc(recipe, folder, "pull", "-q", prepared):
        return
    source = Path("data/raw", recipe.model.params["prepare"]["source"])
    if (workspace / source).is_dir() and not source.is_absolute():
        shutil.copytree(workspace / source, folder / source, copy_function=_link, dirs_exist_ok=True)
    if not (folder / source).exists() or _dvc(recipe, folder, "repro", "--no-commit", "prepare"):
        raise ArtifactError(
            f"{prepared} of the version is not in DVC's cache, and cannot be prepared again from {source}; run "
            "`dvc pull`, or restore the source"
        )


def _share_cache(workspace: Path, folder: Path) -> None:
    from dvc.config import Config
    from dvc.repo import Repo

    with Repo(str(workspace)) as repo:
        cache = repo.cache.local_cache_dir
    mine = Path(".dvc", "config.local")
    if (workspace / mine).is_file():
        shutil.copyfile(workspace / mine, folder / mine)
    with Config(str(folder / ".dvc"), validate=False).edit("local") as config:
        config["cache"] = config.get("cache", {}) | {"dir": cache, "type": LINKS}


def _link(source: str, target: str) -> None:
    if not Path(target).exists():
        Path(target).symlink_to(source)


def _dvc(recipe: Recipe, folder: Path, *words: str) -> int:
    """Run DVC in the clone, isolated from the user's store, work folder and DVC state; return its exit code."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))} | {
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc" / "tmp" / "site"),
        "OMP_NUM_THREADS": str(recipe.environment["threads"]),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    return processes.run([sys.executable, "-m", "dvc", *words], folder, env)


def _git(folder: Path, *words: str) -> str:
    """Run git, and return the first line of its error; empty if it succeeds."""
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False)
    return (done.stderr.strip() or "git failed").splitlines()[0] if done.returncode else ""


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
