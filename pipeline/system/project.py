"""Locate the workspace that a stage runs in, and the main repository, which outlives temporary workspaces."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.system.errors import UserError

LAYOUT = "dvc.yaml"
PREPARED, FEATURES, MODEL, REPORTS = Path("data/prepared"), Path("features"), Path("model"), Path("reports")
"""Output folders of the stages, relative to the root of a workspace."""


def workspace() -> Path:
    """Return the checkout that contains the current directory: the nearest folder with a dvc.yaml.

    Raises:
        UserError: neither the current directory nor a parent has one.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / LAYOUT).is_file():
            return folder
    raise UserError(f"no {LAYOUT} in {here} or above it; run this inside a clone of the repository")


def main_root() -> Path:
    """Return the root of the main repository, also from an experiment that DVC runs in a temporary copy.

    It holds the tracking database, its artifacts and unfinished trainings, since DVC deletes the copy afterwards.
    """
    root = os.environ.get("DVC_ROOT")
    return Path(root).resolve() if root else workspace()
