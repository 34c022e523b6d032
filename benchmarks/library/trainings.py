"""Trainings of one_training.py as processes: one, two at once, and two that train together."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from library import namespaces

PYTHON, PROGRAM = sys.executable, str(Path(__file__).with_name("one_training.py"))
TORCHRUN = ("-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", f"--master-addr={namespaces.NET}.1")
DEFAULT = {"batch": 64, "size": 28, "width": 64}
PATIENCE = 300
"""Seconds that a training may take."""

Found = dict[str, float]


class Trainings:
    """Trainings of one family, each of which returns the measurements that one_training.py prints."""

    def __init__(self, family: str, steps: int) -> None:
        self.family, self.steps = family, steps

    def begin(
        self, changes: dict[str, int], threads: int, launcher: Sequence[str] = (PYTHON,)
    ) -> subprocess.Popen[str]:
        """Start a training that differs from the default, with so many threads in each process."""
        chosen = DEFAULT | {"steps": self.steps} | changes
        words = [PROGRAM, "--family", self.family, *(f"--{name}={value}" for name, value in chosen.items())]
        env = os.environ | {"OMP_NUM_THREADS": str(threads)}
        pipe = subprocess.PIPE
        return subprocess.Popen([*launcher, *words], env=env, stdout=pipe, stderr=pipe, text=True)

    def one(self, changes: dict[str, int], threads: int) -> Found:
        """Train in one process."""
        return finish(self.begin(changes, threads))

    def at_once(self) -> Found:
        """Run two independent trainings at once, each on half a batch.

        They take twice the steps, so that most of these overlap in time.
        """
        half = {"batch": DEFAULT["batch"] // 2, "steps": 2 * self.steps}
        return finish(self.begin(half, 1), self.begin(half, 1))

    def two(self) -> Found:
        """Train in two processes that the pipeline starts, in a network namespace of their own where possible."""
        if not namespaces.possible():
            return finish(self.begin({"devices": 2}, 1)) | {"sent": math.nan}
        with namespaces.namespace("both") as place:
            return finish(self.begin({"devices": 2}, 1, [*place.words, PYTHON]))

    def joined(self, megabits: float) -> Found:
        """Train in two processes that torchrun starts, one at each end of a cable, as on two machines."""
        with namespaces.joined(megabits) as places:
            ends = [[*place.words, "env", f"GLOO_SOCKET_IFNAME={namespaces.END}", PYTHON] for place in places]
            launchers = [[*end, *TORCHRUN, f"--node-rank={rank}"] for rank, end in enumerate(ends)]
            return finish(*(self.begin({"nodes": 2}, 1, launcher) for launcher in launchers))


def finish(*trainings: subprocess.Popen[str]) -> Found:
    """Wait for trainings and return the measurements of the first; exit with the stderr of one that fails."""
    try:
        printed = [training.communicate(timeout=PATIENCE) for training in trainings]
    finally:
        for training in trainings:
            training.kill()
    for training, (_, errors) in zip(trainings, printed, strict=True):
        if training.returncode:
            sys.exit(f"{errors}\na training failed, with code {training.returncode}")
    found: Found = json.loads(printed[0][0].splitlines()[-1])
    return found
