"""Where a run comes from and what it runs on, as tags."""

from __future__ import annotations

import os
import platform
import subprocess

from pipeline import project


def context() -> dict[str, str]:
    """Return where a run comes from: git, the DVC stage, and the DVC experiment if it is one."""
    tags = {"dvc.stage": os.environ.get("DVC_STAGE", ""), "dvc.experiment": os.environ.get("DVC_EXP_NAME", "")}
    found = {name: value for name, value in tags.items() if value} | git()
    return found | {
        "mlflow.source.name": project.LAYOUT,
        "mlflow.source.git.commit": found["git.commit"],
        "mlflow.user": os.environ.get("USER", "unknown"),
    }


def git() -> dict[str, str]:
    """Return the commit, the branch, and whether files differ from the commit; dvc.lock, which DVC is writing, may."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=project.workspace(), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return {
        "git.commit": ask("rev-parse", "HEAD"),
        "git.branch": ask("rev-parse", "--abbrev-ref", "HEAD"),
        "git.dirty": str(bool(ask("status", "--porcelain", "--", ".", ":!dvc.lock"))).lower(),
    }


def machine() -> dict[str, str]:
    """Return what the run runs on."""
    import torch

    return {
        "machine.python": platform.python_version(),
        "machine.torch": torch.__version__,
        "machine.platform": platform.platform(),
        "machine.threads": str(torch.get_num_threads()),
    }
