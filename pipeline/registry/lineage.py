"""The lineage of a version: digests in its tags, and files among the artifacts of its run."""

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
    """The version that `register` made of the model, stored in reports/register/version.json."""

    name: str
    version: int
    run_id: str
    model_digest: str

    @classmethod
    def read(cls, workspace: Path) -> Self:
        """Read version.json.

        Raises:
            ArtifactError: it is missing or names no version.
        """
        return disk.read_json(workspace / project.REPORTS / "register" / "version.json", cls)

    def write(self, workspace: Path) -> None:
        """Write version.json, for the verbs that need the model of a workspace."""
        disk.write_json(workspace / project.REPORTS / "register" / "version.json", asdict(self))


def committed(workspace: Path) -> dict[str, Any]:
    """Return the committed params, flat; empty without a commit."""
    try:
        tree = yaml_files.parse(git.committed(workspace, FILE))
    except ValueError as error:
        raise ArtifactError(f"{FILE} of the commit cannot be read as YAML ({error}); commit a valid one") from error
    return flatten(tree) if tree else {}


def collect(workspace: Path, made_at: Revision, to: Path) -> dict[str, str]:
    """Copy the lineage files of a version into a folder, and return their digests.

    The files are dvc.lock as of the stages before `register`, if DVC runs; the environment and the record of the
    training; the diff against the commit, if there is one.
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
    """Copy the evidence and the pictures of an evaluation into a folder, and return the digest of the evidence."""
    for name in (EVIDENCE, *PICTURES):
        _copy(workspace / project.REPORTS / "evaluate" / name, to)
    return {"evidence_digest": disk.sha256(to / EVIDENCE)}


def _copy(path: Path, to: Path) -> None:
    try:
        shutil.copyfile(path, to / path.name)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: missing; {disk.REMEDY}") from error
