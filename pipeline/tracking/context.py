"""Where a run comes from and what it runs on, as tags."""

from __future__ import annotations

import os
from typing import Any

from pipeline import environment, project
from pipeline.params import RuntimeParams, flatten
from pipeline.revision import Revision


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
