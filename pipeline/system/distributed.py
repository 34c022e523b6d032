"""Several processes that work together: who leads, how they are started, and what is said when one is lost."""

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
"""What torch.distributed says of a process that is gone."""


def leads() -> bool:
    """Say whether this process is the one of its training that logs and writes, as whoever launched it says."""
    for names in (("RANK",), ("LOCAL_RANK", "NODE_RANK"), ("SLURM_PROCID",)):  # torchrun's, Lightning's, SLURM's
        if any(name in os.environ for name in names):
            return all(os.environ.get(name, "0") == "0" for name in names)
    return True


def follow(play: Callable[[], object]) -> None:
    """Take part in what another process leads, which says for all of them what went wrong."""
    try:
        play()
    except UserError as error:
        raise SystemExit(2) from error


@contextmanager
def together() -> Iterator[None]:
    """Turn what torch.distributed raises of a process that is gone into one line.

    Raises:
        TrainingError: another of the processes that work together ended before its time.
    """
    try:
        yield
    except RuntimeError as error:
        if not any(word in str(error).lower() for word in LOST):
            raise
        raise TrainingError(
            "another process of this training ended, and said why above, if it could; run it again to go on from the "
            "newest checkpoint"
        ) from error


def launch(devices: int, nodes: int) -> None:
    """Start the other processes of this machine that work together, where torchrun or SLURM has not.

    Each runs this program again, and finds in its environment which one it is. (Lightning's own launcher kills the
    process that leads within seconds of the loss of another, before it can say so.)
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
    """End this process too where another that it works with failed, unless it finds that out by itself."""
    if other.wait():
        sys.stderr.write(f"\nprocess {other.pid} of this training ended with code {other.returncode}\n")
        time.sleep(processes.GRACE)  # in which it may find that out by itself
        processes.end()
