"""Measurement in turn, A B A B, so that other load on the machine affects all ways alike."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

Found = TypeVar("Found")


class Spread(NamedTuple):
    """The median, the minimum and the maximum over rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def times(self, factor: float) -> Spread:
        """Return the spread in another unit."""
        return Spread(*(factor * each for each in self))

    def __str__(self) -> str:
        """Return "1.23 (1.10 to 1.31)"."""
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


def in_turn(
    ways: Mapping[str, Callable[[], Found]], rounds: int, shown: Callable[[Any], float] = float
) -> dict[str, list[Found]]:
    """Measure every way once a round, in the same order, and return the results by name.

    Args:
        ways: each measures itself, in seconds for example.
        rounds: number of measurements of each.
        shown: the number of a result to print after each round.
    """
    found: dict[str, list[Found]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, way in ways.items():
            found[name].append(way())
        latest = ", ".join(f"{name} {shown(results[-1]):.4g}" for name, results in found.items())
        print(f"round {turn + 1} of {rounds}: {latest}", flush=True)
    return found


def ratios(over: Iterable[float], under: Iterable[float]) -> Spread:
    """Return the spread of the ratios of two series, round by round."""
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


def fallen(found: Mapping[str, Spread], recorded: Mapping[str, float], margin: float) -> list[str]:
    """Return the names of ratios whose best round is below the recorded value, if any, by more than a margin."""
    return [name for name, spread in found.items() if spread.most < (1 - margin) * recorded.get(name, 0.0)]


def spreads(rounds: Sequence[Mapping[str, float]]) -> str:
    """Return "name spread, name spread" of the scores of several rounds."""
    return ", ".join(f"{name} {Spread.of([each[name] for each in rounds])}" for name in rounds[0])


def machine(*packages: str) -> str:
    """Return a line with the processor, the threads, and the versions of Python, torch and other packages."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = named[0] if named else platform.machine()
    versions = [f"{name} {version(name)}" for name in ("torch", *packages)]
    return ", ".join([model, f"{torch.get_num_threads()} threads", f"Python {platform.python_version()}", *versions])
