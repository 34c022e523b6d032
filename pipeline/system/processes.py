"""Processes of a machine: whether one is alive, and how one ends together with the process that started it."""

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
"""Seconds between two checks that the parent is alive."""
GRACE = 20.0
"""Seconds that a process gets to end cleanly."""
PARENT = "PIPELINE_PARENT"
"""Environment variable with the id of the process that started this one, set by that process or its command."""


@dataclass(frozen=True)
class Process:
    """A process of some machine; `started` distinguishes it from a later process with the same id."""

    host: str
    pid: int
    started: float

    @classmethod
    def this(cls) -> Self:
        """Return the current process."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @property
    def here(self) -> bool:
        """Whether it is on this machine; `alive` is meaningful only then."""
        return self.host == socket.gethostname()

    @property
    def alive(self) -> bool:
        """Whether it runs on this machine."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def __str__(self) -> str:
        """Return its id and host, by which a person finds it."""
        return f"process {self.pid} on {self.host}"


@cache
def end_with_parent() -> None:
    """End this process once the process that started it is gone, so that no orphaned training keeps running.

    A SIGTERM lets it end cleanly; after `GRACE` seconds a SIGKILL follows.
    """
    parent = os.getppid()
    orphaned = _is_orphan(parent)

    def watch() -> None:
        while os.getppid() == parent and not orphaned:
            time.sleep(LOOK)  # a parent that is not our own child gives no signal when it ends
        end()

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


def _is_orphan(parent: int) -> bool:
    """Return whether the process that started this one was gone before this one could look up its parent.

    If another process is between the two, as torchrun is, `PARENT` is not the parent, and is alive. If the starting
    process was gone before the command set `PARENT`, that names the process that adopted this one, which is in another
    process group.
    """
    named = int(os.environ.get(PARENT) or 0)
    try:
        if named != parent:
            return bool(named) and psutil.Process(named).status() == psutil.STATUS_ZOMBIE
        return os.getpgid(parent) != os.getpgrp()
    except (psutil.NoSuchProcess, ProcessLookupError):
        return True


def run(words: Sequence[str], folder: Path, env: Mapping[str, str]) -> int:
    """Run a program with its output on stderr, and return its exit code; on an interruption, end all its processes.

    A Ctrl-C does not reach the program directly, so its processes are still known when they have to end.
    """
    try:
        return subprocess.Popen(words, cwd=folder, env=env, stdout=sys.stderr, start_new_session=True).wait()
    except BaseException:  # also an interruption after the program has started, but before Popen returns
        undisturbed()
        started = psutil.Process().children(recursive=True)
        for each in started:
            with suppress(psutil.NoSuchProcess):
                each.terminate()
        for each in psutil.wait_procs(started, GRACE)[1]:
            each.kill()
        raise


def end() -> None:
    """End this process, cleanly if it can."""
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)  # a process that ends cleanly is gone before this returns
    os.kill(os.getpid(), signal.SIGKILL)
