"""Files as a commit or an experiment of DVC has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import ArtefactError


def fetch(root: Path, name: str, paths: Sequence[Path], to: Path) -> bool:
    """Copy files and folders of a revision out of git and DVC's cache; say whether there is such a revision.

    Args:
        root: the repository.
        name: a commit, branch, tag, or experiment of `dvc exp show`.
        paths: from the root, what to copy.
        to: a folder, below which they get the same paths.

    Raises:
        ArtefactError: the revision has no such file, or the cache does not hold it.
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
            raise ArtefactError(
                f"{path} of {name} cannot be had ({str(error).splitlines()[0]}); `dvc fetch` gets what a remote holds, "
                "and what dvc.lock does not name there was never committed"
            ) from error
    return True
