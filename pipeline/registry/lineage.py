"""What a version keeps of how it was made: digests as tags, and files beside the model."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pipeline.params import FILE, flatten
from pipeline.system import disk, git, project, yaml_files
from pipeline.system.errors import ArtifactError
from pipeline.system.git import LOCK, Revision

PATCH, ENVIRONMENT, TRAINING = "diff.patch", "environment.json", "run.json"
EVIDENCE = "influences.safetensors"
PICTURES = ("samples.png", "reconstructions.png", "nearest.png")


@dataclass(frozen=True)
class Registered:
    """Which version `register` made of the model: reports/register/version.json."""

    name: str
    version: int
    run_id: str
    model_digest: str

    @classmethod
    def read(cls, workspace: Path) -> Self:
        """Read what register left.

        Raises:
            ArtifactError: it is missing or names no version.
        """
        return disk.read_json(workspace / project.REPORTS / "register" / "version.json", cls)

    def write(self, workspace: Path) -> None:
        """Leave it for the verbs that speak of the model of a workspace."""
        disk.write_json(workspace / project.REPORTS / "register" / "version.json", asdict(self))


def committed(workspace: Path) -> dict[str, Any]:
    """Return the params of the commit, flat."""
    try:
        tree = yaml_files.parse(git.committed(workspace, FILE))
    except ValueError as error:
        raise ArtifactError(f"{FILE} of the commit cannot be read as YAML ({error}); commit one that can") from error
    return flatten(tree) if tree else {}


def collect(workspace: Path, made_at: Revision, to: Path) -> dict[str, str]:
    """Copy what a version keeps of how it was made into a folder, and return the digests of it.

    That is: dvc.lock, with the stages before `register` as they are, where DVC runs; the environment and the record of
    the training; the difference from the commit, if there is one.
    """
    reports = workspace / project.REPORTS
    for name in (ENVIRONMENT, TRAINING):
        _copy(reports / "train" / name, to)
    digests = {"environment_digest": disk.digest_of(disk.read_json(to / ENVIRONMENT, dict[str, Any]))}
    if (workspace / LOCK).is_file():
        shutil.copyfile(workspace / LOCK, to / LOCK)
        digests["lock_digest"] = disk.sha256(to / LOCK)
    if made_at.diff:
        (to / PATCH).write_bytes(made_at.diff)
        digests["diff_digest"] = disk.sha256(to / PATCH)
    return digests


def evaluation(workspace: Path, to: Path) -> dict[str, str]:
    """Copy what a version keeps of its evaluation into a folder, evidence and pictures, and return its digest."""
    for name in (EVIDENCE, *PICTURES):
        _copy(workspace / project.REPORTS / "evaluate" / name, to)
    return {"evidence_digest": disk.sha256(to / EVIDENCE)}


def _copy(path: Path, to: Path) -> None:
    try:
        shutil.copyfile(path, to / path.name)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: missing; {disk.CURE}") from error
