"""Where things lie: the workspace that a stage works in, and the main repository that holds what outlives it."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.system.errors import UserError

LAYOUT = "dvc.yaml"
PREPARED, FEATURES, MODEL, REPORTS = Path("data/prepared"), Path("features"), Path("model"), Path("reports")
"""Folders that stages make, from the root of a workspace."""


def workspace() -> Path:
    """Return the checkout that the current directory is in: its nearest parent with a dvc.yaml."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / LAYOUT).is_file():
            return folder
    raise UserError(f"no {LAYOUT} in {here} or above it; run this inside a clone of the repository")


def main_root() -> Path:
    """Return the main repository's root, also from an experiment that DVC runs in a temporary copy of it.

    The tracking database, its artifacts and trainings in progress live here, since the copy is deleted afterwards.
    """
    root = os.environ.get("DVC_ROOT")
    return Path(root).resolve() if root else workspace()
