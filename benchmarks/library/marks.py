"""Run a stage and append a line of JSON to a file: the seconds of its process by part.

Each second counts for one part alone: `start` of the interpreter; `imports` of this thread, at the top or later;
`tracking`, the calls that begin and end a run, write to it and register a version; `work`, the rest. The end of the
interpreter is in none of them. overhead.py runs: python -m benchmarks.library.marks STAGE FILE $(date +%s.%N)
"""

from __future__ import annotations

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Clock:
    """Adds the seconds that pass to the current part."""

    def __init__(self) -> None:
        """Begin with work."""
        self.parts = {"start": 0.0, "imports": 0.0, "tracking": 0.0, "work": 0.0}
        self.part, self.since = "work", time.perf_counter()

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """Count the seconds of a context for a part."""
        before = self.turn(part)
        try:
            yield
        finally:
            self.turn(before)

    def turn(self, part: str) -> str:
        """Change to another part, and return the previous one."""
        now, before = time.perf_counter(), self.part
        self.parts[before] += now - self.since
        self.part, self.since = part, now
        return before

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function, so that its seconds on this thread count for a part."""
        here = threading.get_ident()

        def run(*words: Any, **named: Any) -> Any:
            if threading.get_ident() != here:
                return function(*words, **named)
            with self.within(part):
                return function(*words, **named)

        return run


class Timed:
    """A context manager whose entry and exit count as tracking."""

    def __init__(self, clock: Clock, context: Any) -> None:
        """Wrap a context manager."""
        self.enter = clock.timed("tracking", context.__enter__)
        self.exit = clock.timed("tracking", context.__exit__)

    def __enter__(self) -> Any:
        return self.enter()

    def __exit__(self, *error: Any) -> Any:
        return self.exit(*error)


def watch(clock: Clock) -> None:
    """Time the calls to MLflow of a stage that has been imported."""
    if "pipeline.tracking" in sys.modules:
        tracking: Any = sys.modules["pipeline.tracking"]
        tracking.scored = clock.timed("tracking", tracking.scored)
        for name in ("start", "resume"):
            made = getattr(tracking, name)
            setattr(tracking, name, lambda *words, made=made: Timed(clock, made(*words)))
        for name in ("scores", "tags", "files"):
            setattr(tracking.Run, name, clock.timed("tracking", getattr(tracking.Run, name)))
    if "pipeline.registry.versions" in sys.modules:
        registry: Any = sys.modules["pipeline.registry.versions"]
        registry.register = clock.timed("tracking", registry.register)


def main() -> None:
    """Run the stage as `python -m pipeline.stages.STAGE` does."""
    stage, file, begun = sys.argv[1:]
    clock = Clock()
    clock.parts["start"] = time.time() - float(begun)
    bootstrap: Any = importlib._bootstrap  # `-X importtime` times this function too
    bootstrap._find_and_load = clock.timed("imports", bootstrap._find_and_load)
    module = importlib.import_module(f"pipeline.stages.{stage}")
    watch(clock)

    def work() -> None:
        module.main()
        clock.turn("work")
        with Path(file).open("a") as lines:
            lines.write(json.dumps({"stage": stage, "begun": float(begun), **clock.parts}) + "\n")

    module.run(work)


if __name__ == "__main__":
    main()
