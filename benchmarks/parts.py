"""Seconds by part: which share of a whole each of its functions takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from inspect import isgeneratorfunction
from typing import Any
from unittest import mock


class Parts:
    """Adds up the seconds of parts; what runs within a part counts for that part alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.inside = False

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, or one that yields, its seconds added to a part unless another part is under way."""
        self.seconds.setdefault(part, 0.0)

        def run(*words: Any, **named: Any) -> Any:
            if self.inside:
                return function(*words, **named)
            self.inside, begin = True, time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                self.seconds[part] += time.perf_counter() - begin
                self.inside = False

        def each(*words: Any, **named: Any) -> Iterator[Any]:
            step = self.timed(part, function(*words, **named).__next__)
            with suppress(StopIteration):
                while True:
                    yield step()

        return each if isgeneratorfunction(function) else run

    @contextmanager
    def of(self, *places: tuple[Any, str, str]) -> Iterator[None]:
        """Time functions within: each by its owner, its name there, and the part that it belongs to."""
        with ExitStack() as stack:
            for owner, name, part in places:
                stack.enter_context(mock.patch.object(owner, name, self.timed(part, getattr(owner, name))))
            yield
