"""The commit of the code, the difference from it, and files as a commit or an experiment of DVC has them."""

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
"""Where all lies that stages read and do not make: a new file here belongs to the difference."""
LOCK = "dvc.lock"


@dataclass(frozen=True)
class Revision:
    """A commit and its branch, empty outside of git, and the difference from it as `git apply` takes it.

    An experiment of DVC changes files of the commit that it began at, so its params are part of the difference.
    dvc.lock, which DVC is writing, is not.
    """

    commit: str
    branch: str
    diff: bytes

    @classmethod
    def of(cls, workspace: Path) -> Self:
        """Look at a workspace."""
        commit = _ask(workspace, "rev-parse", "--verify", "--quiet", "HEAD").decode().strip()
        branch = _ask(workspace, "rev-parse", "--abbrev-ref", "HEAD").decode().strip() if commit else ""
        return cls(commit, branch, _diff(workspace) if commit else b"")

    @property
    def dirty(self) -> bool:
        """Whether the commit alone does not give the same files."""
        return bool(self.diff) or not self.commit

    @property
    def tags(self) -> dict[str, str]:
        """What a run and a version say of it."""
        return {"git.commit": self.commit, "git.branch": self.branch, "git.dirty": str(self.dirty).lower()}


def committed(workspace: Path, name: str) -> bytes:
    """Return a file as the commit has it, empty where it has none."""
    return _ask(workspace, "show", f"HEAD:./{name}")


def fetch(root: Path, name: str, paths: Sequence[Path], to: Path) -> bool:
    """Copy files and folders of a revision out of git and DVC's cache; say whether there is such a revision.

    Args:
        root: the repository.
        name: a commit, branch, tag, or experiment of `dvc exp show`.
        paths: from the root, what to copy.
        to: a folder, below which they get the same paths.

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
                f"{path} of {name} cannot be had ({str(error).splitlines()[0]}); `dvc fetch` gets what a remote holds, "
                "and what dvc.lock does not name there was never committed"
            ) from error
    return True


def _diff(workspace: Path) -> bytes:
    new = [name for name in READ if (workspace / name).exists()]
    with tempfile.TemporaryDirectory() as temporary:
        index = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}  # the user's own stays as it is
        _ask(workspace, "read-tree", "HEAD", **index)
        _ask(workspace, "add", "--intent-to-add", "--", *new, **index)
        plain = ("-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=false")
        options = ("--binary", "--no-color", "--no-ext-diff", "--no-textconv")
        return _ask(workspace, *plain, "diff", *options, "HEAD", "--", ".", f":!{LOCK}", **index)


def _ask(workspace: Path, *words: str, **env: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=workspace, env=os.environ | env, capture_output=True, check=False)
    return done.stdout
