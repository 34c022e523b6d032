"""A score with what each item adds to it: from that follow its interval, and its difference from another model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RESAMPLES, LEVEL = 1000, 0.95


@dataclass(frozen=True)
class Estimate:
    """A score, and its influence function at each item that it was computed from.

    Attributes:
        value: the score.
        parts: for each population that the score is over, such as "test" or "samples", how far the score would move, to
            first order and times n, were one of its n items seen once more: (n,) with mean 0. None for a score that is
            not over items.
    """

    value: float
    parts: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def deviations(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Return by how much the score moves under bootstrap resampling of each population, (RESAMPLES,).

        The expansion is resampled, not the score, which would cost a thousand evaluations, and add the score's own bias
        once more, as that of a Frechet distance of few items.
        """
        moved = np.zeros(RESAMPLES)
        for _, part in sorted(self.parts.items()):
            moved += [part[rng.integers(len(part), size=len(part))].mean() for _ in range(RESAMPLES)]
        return moved

    def interval(self, rng: np.random.Generator, level: float = LEVEL) -> tuple[float, float]:
        """Return the bounds that hold the score's expectation at these numbers of items with a probability `level`."""
        low, high = np.quantile(self.deviations(rng), [(1 - level) / 2, (1 + level) / 2])
        return self.value + float(low), self.value + float(high)

    def __sub__(self, other: Estimate) -> Estimate:
        """Return the difference of two scores over the same items, paired item by item.

        Raises:
            ValueError: they are not over the same populations.
        """
        if {name: len(part) for name, part in self.parts.items()} != {n: len(p) for n, p in other.parts.items()}:
            raise ValueError("scores over different items have no paired difference")
        return Estimate(self.value - other.value, {name: part - other.parts[name] for name, part in self.parts.items()})


def mean(values: NDArray[np.floating], population: str) -> Estimate:
    """Return the mean over a population of one value an item, (n,).

    Raises:
        ValueError: there are none, or one is not finite.
    """
    wide = np.asarray(values, np.float64)
    if not wide.size or not np.isfinite(wide).all():
        raise ValueError(f"a mean over {population} needs values, all of them finite")
    return Estimate(float(wide.mean()), {population: wide - wide.mean()})
