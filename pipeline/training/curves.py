"""Metrics over steps, and their curves over epochs."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

Metrics = list[tuple[str, float, int]]
"""Name, value and step of each metric."""


class Curves:
    """The mean of each metric over each epoch; written as <split>/<metric>.csv with columns epoch and value."""

    def __init__(self, steps_per_epoch: int) -> None:
        """Set the number of steps of an epoch."""
        self.steps_per_epoch = steps_per_epoch
        self.sums: dict[str, dict[int, tuple[float, int]]] = defaultdict(dict)

    def add(self, metrics: Metrics) -> None:
        """Add metrics."""
        for name, value, step in metrics:
            epoch = step // self.steps_per_epoch
            total, count = self.sums[name].get(epoch, (0.0, 0))
            self.sums[name][epoch] = (total + value, count + 1)

    def state(self) -> dict[str, dict[int, tuple[float, int]]]:
        """Return the state that `load` takes, in plain values."""
        return {name: dict(epochs) for name, epochs in self.sums.items()}

    def load(self, state: dict[str, dict[int, tuple[float, int]]]) -> None:
        """Restore a state."""
        self.sums = defaultdict(dict, state)

    def write(self, folder: Path) -> None:
        """Write a file for each metric."""
        for name, epochs in self.sums.items():
            path = folder / f"{name}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["epoch", "value"])
                rows.writerows((epoch + 1, f"{total / count:.6g}") for epoch, (total, count) in sorted(epochs.items()))
