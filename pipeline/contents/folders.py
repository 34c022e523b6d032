"""Folders of files, one item or more in each: which files are items, what their class is, why one gave none."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pipeline.contents.base import Rejected

T = TypeVar("T")

ABOUT = re.compile(r"(readme|licen[cs]e|copying)(\.(md|rst|txt))?|source\.json", re.IGNORECASE)
"""Names of files that lie beside the data and are no items."""


class UnusableError(Exception):
    """A file that can be read and is no good: its text says why."""


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, one at a time; hidden ones, and those that speak about the data, are no items."""
    pending = [folder]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(".") or ABOUT.fullmatch(entry.name):
                    continue
                if entry.is_dir():
                    pending.append(Path(entry.path))
                else:
                    yield Path(entry.path)


def label(origin: Path) -> str:
    """Return the class of a file: the name of the first subfolder that it is in."""
    return origin.parts[0] if len(origin.parts) > 1 else "."


def decoded(folder: Path, decode: Callable[[Path], T]) -> Iterator[tuple[Path, T] | Rejected]:
    """Yield what each file below a folder is decoded to, after its place there; or why it is not."""
    for path in files(folder):
        origin = path.relative_to(folder)
        try:
            found = decode(path)
        except Exception as error:  # noqa: BLE001 - decoders of foreign bytes raise anything; the reason is recorded
            yield Rejected(str(origin), _reason(path, error))
        else:
            yield origin, found


def _reason(path: Path, error: Exception) -> str:
    """Return in one line why a file gave no item."""
    if isinstance(error, UnusableError):
        return str(error)
    if isinstance(error, OSError) and path.exists() and path.stat().st_size == 0:
        return "the file is empty"
    said = " ".join(str(error).replace(str(path), path.name).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
