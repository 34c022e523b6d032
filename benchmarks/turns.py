"""Things measured in turn, A B A B, so that what else the machine does falls on all of them alike."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch


class Spread(NamedTuple):
    """The median of rounds, the least and the greatest."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return that of at least one value."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        """Return "1.23 (1.10 to 1.31)"."""
        return f"{self.median:.3g} ({self.least:.3g} to {self.most:.3g})"


def in_turn(things: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return what each thing said of itself in each round, such as seconds; every round asks all, in the same order."""
    found: dict[str, list[float]] = {name: [] for name in things}
    for turn in range(rounds):
        for name, thing in things.items():
            found[name].append(thing())
        latest = ", ".join(f"{name} {values[-1]:.4g}" for name, values in found.items())
        print(f"round {turn + 1} of {rounds}: {latest}", flush=True)
    return found


def ratios(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return the ratios of two things round by round."""
    return Spread.of([a / b for a, b in zip(over, under, strict=True)])


def fallen(found: Mapping[str, Spread], recorded: Mapping[str, float], margin: float) -> list[str]:
    """Return the names of ratios whose best round is below that on record, if there is one, by more than a margin."""
    return [name for name, spread in found.items() if spread.most < (1 - margin) * recorded.get(name, 0.0)]


def machine(*packages: str) -> str:
    """Return a line that says what this machine is, and the versions of Python, torch and the packages named."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = named[0] if named else platform.machine()
    versions = [f"{name} {version(name)}" for name in ("torch", *packages)]
    return ", ".join([model, f"{torch.get_num_threads()} threads", f"Python {platform.python_version()}", *versions])
