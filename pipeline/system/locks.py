"""Locks that end with the process that holds them, and say which that is."""

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
"""Seconds for which a lock is tried: somebody who looks for its holder has it for a moment."""


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
                time.sleep(0.01)  # flock itself waits for ever or not at all
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


def _named(path: Path) -> Process:
    """Return the process that a lock's file names; an unknown one in the moment before it does."""
    try:
        return disk.read_json(path, Process)
    except ArtifactError:
        return Process("this machine", 0, 0.0)


def _is_at(path: Path, file: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
