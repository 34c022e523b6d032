"""Where a run comes from and what it runs on, as tags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipeline.params import RuntimeParams, flatten
from pipeline.system import project
from pipeline.system.git import Revision
from pipeline.training import environment

MOST, LONGEST = 3, 30
"""Changes that a name tells, and characters of a value in it."""


def name(params: Mapping[str, Any], before: Mapping[str, str]) -> str:
    """Return what a run is called: as its experiment of DVC, or else by what changed in params since the run before.

    A param that the run before did not have is no change: what another family brings is said by `family=`. Where
    nothing changed, or there is no run before, the family is said, and the commit.
    """
    found = context()
    if experiment := found.get("dvc.experiment"):
        return experiment
    changed = [
        f"{key}={_short(str(value))}" for key, value in params.items() if before.get(key, str(value)) != str(value)
    ]
    if not changed:
        return " at ".join(filter(None, (str(params["family"]), found["git.commit"][:7])))
    return ", ".join(changed[:MOST]) + (f" and {len(changed) - MOST} more" if len(changed) > MOST else "")


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"


def context() -> dict[str, str]:
    """Return where a run comes from: git, the DVC stage, and the DVC experiment if it is one."""
    tags = {"dvc.stage": os.environ.get("DVC_STAGE", ""), "dvc.experiment": os.environ.get("DVC_EXP_NAME", "")}
    found = {name: value for name, value in tags.items() if value} | Revision.of(project.workspace()).tags
    return found | {
        "mlflow.source.name": project.LAYOUT,
        "mlflow.source.git.commit": found["git.commit"],
        "mlflow.user": os.environ.get("USER", "unknown"),
    }


def machine(runtime: RuntimeParams) -> dict[str, Any]:
    """Return what the run runs on."""
    return flatten({"machine": environment.machine(runtime)})
