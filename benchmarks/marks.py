"""Run a stage and add a line of JSON to a file: the seconds of its process by part, each second in one part alone.

`start` is the interpreter's own, `imports` all that this thread imports, at the top or late, `tracking` the calls that
begin and end a run, write to it and register a version, and `work` the rest; the interpreter's end is in none of them.
Used by overhead.py: python -m benchmarks.marks STAGE FILE $(date +%s.%N)
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
    """Adds the seconds that pass to the part that is under way."""

    def __init__(self) -> None:
        """Begin with work under way."""
        self.parts = {"start": 0.0, "imports": 0.0, "tracking": 0.0, "work": 0.0}
        self.part, self.since = "work", time.perf_counter()

    @contextmanager
    def within(self, part: str) -> Iterator[None]:
        """Have a part under way."""
        before = self.turn(part)
        try:
            yield
        finally:
            self.turn(before)

    def turn(self, part: str) -> str:
        """Let another part be under way, and return the one that was."""
        now, before = time.perf_counter(), self.part
        self.parts[before] += now - self.since
        self.part, self.since = part, now
        return before

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function whose seconds on this thread are those of a part."""
        here = threading.get_ident()

        def run(*words: Any, **named: Any) -> Any:
            if threading.get_ident() != here:
                return function(*words, **named)
            with self.within(part):
                return function(*words, **named)

        return run


class Timed:
    """A context whose beginning and end are tracking."""

    def __init__(self, clock: Clock, context: Any) -> None:
        """Set which context."""
        self.enter = clock.timed("tracking", context.__enter__)
        self.exit = clock.timed("tracking", context.__exit__)

    def __enter__(self) -> Any:
        return self.enter()

    def __exit__(self, *error: Any) -> Any:
        return self.exit(*error)


def watch(clock: Clock) -> None:
    """Time what a stage, once imported, asks of MLflow."""
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
    bootstrap: Any = importlib._bootstrap  # what `-X importtime` times, too
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
