"""Progress bars: live in a terminal, one line a minute if stderr is a file or a pipe."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterable
from typing import Any, TypeVar, overload

from tqdm import tqdm

T = TypeVar("T")
EVERY = 60.0
"""Seconds between two lines."""


@overload
def bar(iterable: None = None, **options: Any) -> tqdm[Any]: ...
@overload
def bar(iterable: Iterable[T], **options: Any) -> tqdm[T]: ...
def bar(iterable: Iterable[T] | None = None, **options: Any) -> tqdm[T]:
    """Return a bar over an iterable, or one to update by hand; `options` are those of tqdm."""
    kind: Any = tqdm if sys.stderr.isatty() else _Lines
    found: tqdm[T] = kind(iterable, **options)
    return found


class _Lines(tqdm):  # type: ignore[type-arg]  # generic only for type checkers
    """Writes its progress once a minute; a task of less than a minute writes nothing."""

    def __init__(self, iterable: Iterable[Any] | None = None, **options: Any) -> None:
        """Set the options of tqdm, whose own output is discarded."""
        self.said = time.monotonic()
        super().__init__(iterable, **options | {"file": io.StringIO()})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write a line if a minute has passed; tqdm passes `msg` only to clear the bar, which writes nothing."""
        if msg is None and time.monotonic() - self.said >= EVERY:
            self.said = time.monotonic()
            sys.stderr.write(f"{self}\n")
