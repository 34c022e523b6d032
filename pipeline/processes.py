"""Processes of the machine: who holds a lock, who is alive, and a stage that never outlives the `dvc` that began it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import NoReturn, Self, TextIO

import psutil

from pipeline.errors import TrainingError, UserError, run

LOOK = 0.5
"""Seconds between two looks at whether the parent lives."""
PATIENCE = 0.5
"""Seconds for which a lock is tried: somebody who looks for its holder has it for a moment."""
GRACE = 20.0
"""Seconds that an orphan has to end in good order."""
LOST = ("connection closed", "connection reset", "broken pipe", "remote process exited", "nccl")
"""What torch.distributed says of a process that is gone."""


@dataclass(frozen=True)
class Process:
    """A process of some machine; `started` tells it from a later one that has its number."""

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Self:
        """Return the process that runs this."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @property
    def here(self) -> bool:
        """Whether it is of this machine, so that one can tell if it lives."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it runs, on this machine."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        """Return what a person looks for."""
        return f"process {self.pid} on {self.host}"


class Taken(Exception):  # noqa: N818 - it is no error of itself
    """A lock that another process holds."""

    def __init__(self, holder: Process) -> None:
        """Set who."""
        super().__init__(str(holder))
        self.holder = holder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process, however that ends.

    Raises:
        Taken: another process holds it.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a+")
        except (FileExistsError, FileNotFoundError):
            if path.parent.is_file():
                raise
            continue  # whoever held it before is removing the folder
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Taken(_named(path)) from None
                time.sleep(0.01)
                continue
            if not _is_at(path, file):
                continue  # whoever held it before has removed it
            file.truncate(0)
            file.write(json.dumps(asdict(Process.this())))
            file.flush()
            yield
            return


def holder(path: Path) -> Process | None:
    """Return the living process that holds a lock; None where none does."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _named(path)
    return None


def leads() -> bool:
    """Say whether this process is the one of its training that logs and writes, as whoever launched it says."""
    for names in (("RANK",), ("LOCAL_RANK", "NODE_RANK"), ("SLURM_PROCID",)):  # torchrun's, Lightning's, SLURM's
        if any(name in os.environ for name in names):
            return all(os.environ.get(name, "0") == "0" for name in names)
    return True


def run_stage(main: Callable[[], None]) -> NoReturn:
    """Run a stage to its exit code."""
    end_with_whoever_waits()
    run(main)


def end_with_whoever_waits() -> None:
    """Have a stage that `dvc` began, or another process of its training, not outlive that."""
    if "DVC_STAGE" in os.environ or not leads():
        end_with_parent()


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
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment

    if devices * nodes == 1 or {"RANK", "LOCAL_RANK"} & os.environ.keys() or SLURMEnvironment.detect():
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
        other = subprocess.Popen(words, env=os.environ | {"LOCAL_RANK": str(rank)})
        threading.Thread(target=_end_with, args=(other,), name=f"end with {rank}", daemon=True).start()


def _end_with(other: subprocess.Popen[bytes]) -> None:
    """End this process too where another that it works with failed, unless it finds that out by itself."""
    if other.wait():
        sys.stderr.write(f"\nprocess {other.pid} of this training ended with code {other.returncode}\n")
        time.sleep(GRACE)
        _end()


@cache
def end_with_parent() -> None:
    """End this process once the one that began it is gone, so that no training goes on that nobody waits for.

    A SIGTERM lets it end in good order; if that takes longer than `GRACE`, a SIGKILL follows.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        _end()

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def _end() -> None:
    """End this process, in good order if it can."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _named(path: Path) -> Process:
    """Return the process that a lock's file names; an unknown one in the moment before it does."""
    try:
        return Process(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return Process("this machine", 0, 0.0)


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
