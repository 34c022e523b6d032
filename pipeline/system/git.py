"""Read a workspace's commit and its diff from it, and copy files of a commit or of a DVC experiment."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline.system.errors import ArtifactError

READ = ("dvc.yaml", "params.yaml", "pipeline", "data/raw", "data/weights")
"""Paths that stages read and do not write: a new file in them is part of the diff."""
LOCK = "dvc.lock"


@dataclass(frozen=True)
class Revision:
    """A commit and its branch (both empty outside of git), and the workspace's diff from it for `git apply`.

    A DVC experiment changes files of the commit that it starts from, so its params are part of the diff. dvc.lock,
    which DVC is writing, is not.
    """

    commit: str
    branch: str
    diff: bytes

    @classmethod
    def of(cls, workspace: Path) -> Self:
        """Return the revision of a workspace."""
        commit = _ask(workspace, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
        branch = _ask(workspace, "rev-parse", "--abbrev-ref", "HEAD").decode().strip() if commit else ""
        return cls(commit, branch, _diff(workspace) if commit else b"")

    @property
    def dirty(self) -> bool:
        """Whether the commit alone does not reproduce the files."""
        return bool(self.diff) or not self.commit

    @property
    def tags(self) -> dict[str, str]:
        """The tags that record it on a run and a registered version."""
        return {"git.commit": self.commit, "git.branch": self.branch, "git.dirty": str(self.dirty).lower()}


def committed(workspace: Path, name: str) -> bytes:
    """Return the content of a file in HEAD; empty if HEAD does not have it."""
    return _ask(workspace, "show", f"HEAD:./{name}")


def fetch(root: Path, name: str, paths: Sequence[Path], to: Path) -> bool:
    """Copy files and folders of a revision from git and DVC's cache; return whether the revision exists.

    Args:
        root: the repository.
        name: a commit, branch, tag, or experiment of `dvc exp show`.
        paths: files and folders to copy, relative to the root.
        to: the target folder, in which the relative paths stay the same.

    Raises:
        ArtifactError: the revision has no such file, or the cache does not hold it.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import resolve_rev
    from dvc_data.index import DataIndexDirError

    try:
        with Repo(str(root)) as repo:
            commit = resolve_rev(repo.scm, name)
    except DvcException:
        return False
    files = DVCFileSystem(str(root), rev=commit)
    for path in paths:
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            files.get(path.as_posix(), str(to / path), recursive=True)
        except (OSError, DvcException, DataIndexDirError) as error:
            raise ArtifactError(
                f"{path} of {name} cannot be fetched ({str(error).splitlines()[0]}); run `dvc fetch` to download it "
                "from a remote; a file that the revision's dvc.lock does not name was never committed"
            ) from error
    return True


def _diff(workspace: Path) -> bytes:
    new = [name for name in READ if (workspace / name).exists()]
    with tempfile.TemporaryDirectory() as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}  # leaves the user's own index unchanged
        _ask(workspace, "read-tree", "HEAD", **index)
        _ask(workspace, "add", "--intent-to-add", "--", *new, **index)
        plain = ("-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false")
        options = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv")
        return _ask(workspace, *plain, "diff", *options, "HEAD", "--", ".", f":!{LOCK}", **index)


def _ask(workspace: Path, *words: str, **env: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=workspace, env=os.environ | env, capture_output=True, check=False)
    return done.stdout
