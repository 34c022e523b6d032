"""Several processes of one training: which one leads, how they start, and how the loss of one is reported."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.system import processes
from pipeline.system.errors import TrainingError, UserError

LOST = ("connection closed", "connection reset", "broken pipe", "remote process exited", "nccl")
"""Parts of the messages, in lower case, with which torch.distributed reports a lost process."""


def leads() -> bool:
    """Return whether this process is the one of its training that logs and writes, according to its launcher."""
    for names in (("RANK",), ("LOCAL_RANK", "NODE_RANK"), ("SLURM_PROCID",)):  # torchrun's, Lightning's, SLURM's
        if any(name in os.environ for name in names):
            return all(os.environ.get(name, "0") == "0" for name in names)
    return True


def follow(play: Callable[[], object]) -> None:
    """Run the part of a process that does not lead; on a UserError, which the leader reports, exit with code 2."""
    try:
        play()
    except UserError as error:
        raise SystemExit(2) from error


@contextmanager
def together() -> Iterator[None]:
    """Turn torch.distributed's error about a lost process into one line.

    Raises:
        TrainingError: another process of the training ended early.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in LOST):
            raise
        raise TrainingError(
            "another process of this training ended; its last message above may state why; run it again to resume from "
            "the newest checkpoint"
        ) from error


def launch(devices: int, nodes: int) -> None:
    """Start the other processes of this machine, unless torchrun or SLURM has done so.

    Each runs this program again and finds its rank in its environment. Lightning's own launcher is not used: it kills
    the leading process within seconds of the loss of another, before it can report the loss.
    """
    if devices * nodes == 1 or {"RANK", "LOCAL_RANK"} & os.environ.keys():
        return
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    if SLURMEnvironment.detect():
        return
    place = LightningEnvironment()
    os.environ |= {
        "MASTER_ADDR": place.main_address,
        "MASTER_PORT": str(place.main_port),
        "NODE_RANK": str(place.node_rank()),
        "WORLD_SIZE": str(devices * nodes),
        "LOCAL_RANK": "0",
    }
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = ["-m", spec.name] if spec else [sys.argv[0]]
    for rank in range(1, devices):
        words = [sys.executable, *program, *sys.argv[1:]]
        other = subprocess.Popen(words, env=os.environ | {"LOCAL_RANK": str(rank), processes.PARENT: str(os.getpid())})
        threading.Thread(target=_end_with, args=(other,), name=f"end with {rank}", daemon=True).start()


def _end_with(other: subprocess.Popen[bytes]) -> None:
    """End this process if `other` fails, unless it detects the failure itself."""
    if other.wait():
        sys.stderr.write(f"\nprocess {other.pid} of this training ended with code {other.returncode}\n")
        time.sleep(processes.GRACE)  # time for this process to detect and report the failure itself
        processes.end()
