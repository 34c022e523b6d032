"""A score with the influence of each item, which gives its interval and that of a difference between two models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Estimate:
    """A score, and its influence function at each item from which it was computed.

    Attributes:
        value: the score.
        parts: influences by population, such as "test" or "samples": how far the score would move, to first order and
            times n, if one of the n items of that population counted once more, (n,) with mean 0. Empty for a score
            that is not computed over items.
    """

    value: float
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def deviations(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return by how much the score moves under bootstrap resampling of each population, (RESAMPLES,).

        This resamples the first-order expansion. Resampling the score itself would cost a thousand evaluations, and
        would add the score's bias once more, such as that of a Frechet distance of few items.
        """
        moved = np.zeros(RESAMPLES)
        for _, part in sorted(self.parts.items()):
            moved += [part[rng.integers(len(part), size=len(part))].mean() for _ in range(RESAMPLES)]
        return moved

    def interval(self, rng: np.random.Generator, level: float = LEVEL) -> tuple[float, float]:
        """Return bounds that contain the score's expectation at these numbers of items with probability `level`."""
        low, high = np.quantile(self.deviations(rng), [(1 - level) / 2, (1 + level) / 2])
        return self.value + float(low), self.value + float(high)

    def __sub__(self, other: Estimate) -> Estimate:
        """Return the difference of two scores over the same items, paired item by item.

        Raises:
            ValueError: the populations, or their numbers of items, differ.
        """
        if {name: len(part) for name, part in self.parts.items()} != {n: len(p) for n, p in other.parts.items()}:
            raise ValueError("scores over different items have no paired difference")
        return Estimate(self.value - other.value, {name: part - other.parts[name] for name, part in self.parts.items()})


def mean(values: NDArray[np.floating], population: str) -> Estimate:
    """Return the mean over a population of one value per item, (n,).

    Raises:
        ValueError: there are no values, or one is not finite.
    """
    wide = np.asarray(values, np.float64)
    if not wide.size or not np.isfinite(wide).all():
        raise ValueError(f"a mean over {population} needs values, all of them finite")
    return Estimate(float(wide.mean()), {population: wide - wide.mean()})
