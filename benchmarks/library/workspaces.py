"""Temporary workspaces with the code and raw data of another workspace, and params of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.system import project

FIRST = ("prepare", "features")


def workspace(folder: Path, source: Path, changes: Mapping[str, Any]) -> Path:
    """Make a workspace with the raw data and params of another, change params by dotted name, and return its folder."""
    shutil.copy(source / "params.yaml", folder)
    change(folder, changes)
    (folder / project.LAYOUT).symlink_to(source / project.LAYOUT)
    (folder / "data").mkdir()
    (folder / "data" / "raw").symlink_to(source / "data" / "raw")
    return folder


def change(folder: Path, changes: Mapping[str, Any]) -> None:
    """Change params of a workspace, by dotted name."""
    params = yaml.safe_load((folder / "params.yaml").read_text())
    for name, value in changes.items():
        *sections, field = name.split(".")
        section = params
        for each in sections:
            section = section[each]
        section[field] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def prepared(folder: Path, source: Path, changes: Mapping[str, Any], stages: Sequence[str] = FIRST) -> Path:
    """Make a workspace, run its first stages, and return its folder."""
    workspace(folder, source, changes)
    for each in stages:
        stage(each, folder)
    return folder


def stage(name: str, folder: Path) -> None:
    """Run a stage in a workspace, with a tracking store of its own there.

    Raises:
        subprocess.CalledProcessError: the stage failed; its message is on stderr.
    """
    env = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")} | {"DVC_ROOT": str(folder)}
    subprocess.run([sys.executable, "-m", f"pipeline.stages.{name}"], cwd=folder, env=env, check=True)
