"""Seconds of commands that run in processes of their own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PYTHON = sys.executable
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTHONPATH"))} | {
    "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
}


class Took(NamedTuple):
    """Seconds of a command, by the clock and of processors."""

    clock: float
    processor: float


def took(words: Sequence[str], folder: Path) -> Took:
    """Run a command in a folder and return its seconds; exit with its output if it fails."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=ENV, capture_output=True, text=True, check=False)
    clock, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return Took(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
