"""File locks that end with the process that holds them, and record which process that is."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from pipeline.system import disk
from pipeline.system.errors import ArtifactError
from pipeline.system.processes import Process

PATIENCE = 0.5
"""Seconds for which a taken lock is retried: a process that looks up the holder takes it for a moment."""


class Taken(Exception):  # noqa: N818 - not an error in itself
    """Raised when another process holds a lock."""

    def __init__(self, holder: Process) -> None:
        """Set the process that holds it."""
        super().__init__(str(holder))
        self.holder = holder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock during a block; it is also released if the process ends, however it ends.

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
            continue  # the previous holder is removing the folder
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Taken(_named(path)) from None
                time.sleep(0.01)  # flock has no timeout: it blocks for ever or not at all
                continue
            if not _is_at(path, file):
                continue  # the previous holder has removed the file
            file.truncate(0)
            file.write(json.dumps(asdict(Process.this())))
            file.flush()
            yield
            return


def holder(path: Path) -> Process | None:
    """Return the living process that holds a lock, or None."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _named(path)
    return None


def _named(path: Path) -> Process:
    """Return the process that a lock's file names, or an unknown one if the holder has not written it yet."""
    try:
        return disk.read_json(path, Process)
    except ArtifactError:
        return Process("this machine", 0, 0.0)


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
