"""The origin and the machine of a run, as tags."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pipeline.params import RuntimeParams, flatten
from pipeline.system import project
from pipeline.system.git import Revision
from pipeline.training import environment

MOST, LONGEST = 3, 30
"""Changed params in the name of a run, and characters of a value in it, at most."""


def name(params: Mapping[str, Any], before: Mapping[str, str]) -> str:
    """Return the name of a run: its DVC experiment, or else the params that changed since the previous run.

    A param that the previous run did not have does not count: `family=` stands for those of another family. If nothing
    changed, or there is no previous run, the name is the family and the commit.
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
    """Return the origin of a run: git, the DVC stage, and the DVC experiment if there is one."""
    tags = {"dvc.stage": os.environ.get("DVC_STAGE", ""), "dvc.experiment": os.environ.get("DVC_EXP_NAME", "")}
    found = {name: value for name, value in tags.items() if value} | Revision.of(project.workspace()).tags
    return found | {
        "mlflow.source.name": project.LAYOUT,
        "mlflow.source.git.commit": found["git.commit"],
        "mlflow.user": os.environ.get("USER", "unknown"),
    }


def machine(runtime: RuntimeParams) -> dict[str, Any]:
    """Return the machine of a run, as flat tags."""
    return flatten({"machine": environment.machine(runtime)})
