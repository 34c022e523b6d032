"""Processes of a machine: who is alive, and one that does not outlive whoever began it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import psutil

from pipeline.system.errors import undisturbed

LOOK = 0.5
"""Seconds between two looks at whether the parent lives."""
GRACE = 20.0
"""Seconds that a process has to end in good order."""
PARENT = "PIPELINE_PARENT"
"""Names the process that began this one, as that or the command that it gave says."""


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


@cache
def end_with_parent() -> None:
    """End this process once the one that began it is gone, so that no training goes on that nobody waits for.

    A SIGTERM lets it end in good order; if that takes longer than `GRACE`, a SIGKILL follows.
    """
    parent = os.getppid()
    orphaned = _is_orphan(parent)

    def watch() -> None:
        while os.getppid() == parent and not orphaned:
            time.sleep(LOOK)
        end()

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def _is_orphan(parent: int) -> bool:
    """Say whether the process that began this one was gone before this one could look who its parent is.

    Where somebody else is between the two, as torchrun is, `PARENT` is not the parent, and lives. Where it was gone
    before the command looked, whoever has adopted this process is named in its place, and is of another process group.
    """
    named = int(os.environ.get(PARENT) or 0)
    try:
        if named != parent:
            return bool(named) and psutil.Process(named).status() == psutil.STATUS_ZOMBIE
        return os.getpgid(parent) != os.getpgrp()
    except (psutil.NoSuchProcess, ProcessLookupError):
        return True


def run(words: Sequence[str], folder: Path, env: Mapping[str, str]) -> int:
    """Run a program to its exit code, all that it says on stderr; cut off, this process ends all that it began.

    A Ctrl-C does not reach the program directly, so that all its processes are still known when they are to end.
    """
    try:
        return subprocess.Popen(words, cwd=folder, env=env, stdout=sys.stderr, start_new_session=True).wait()
    except BaseException:  # also one between the program's start and its being known here
        undisturbed()
        begun = psutil.Process().children(recursive=True)
        for each in begun:
            with suppress(psutil.NoSuchProcess):
                each.terminate()
        for each in psutil.wait_procs(begun, GRACE)[1]:
            each.kill()
        raise


def end() -> None:
    """End this process, in good order if it can."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)  # a process that ended in good order is not there any more after this
    os.kill(os.getpid(), signal.SIGKILL)
