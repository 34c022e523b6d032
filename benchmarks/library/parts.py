"""Seconds by part: the share of a computation that each of its functions takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from inspect import isgeneratorfunction
from typing import Any
from unittest import mock


class Parts:
    """Adds up the seconds of parts; a part called within another counts for the outer one alone."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.inside = False

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function or generator function: its seconds count for a part unless another part is running."""
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
        """Time functions in this context, each given by its owner, its name there, and its part."""
        with ExitStack() as stack:
            for owner, name, part in places:
                stack.enter_context(mock.patch.object(owner, name, self.timed(part, getattr(owner, name))))
            yield
