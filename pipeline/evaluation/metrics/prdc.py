"""Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020), by nearest neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST, checked, squared

NEIGHBOURS = 5


def prdc(real: NDArray[np.floating], generated: NDArray[np.floating], k: int = NEIGHBOURS) -> dict[str, Estimate]:
    """Return precision and density of generated items, recall and coverage of real ones.

    An item's ball reaches to its k-th nearest neighbour in its own set, or to the farthest if there are fewer.
    Precision is the share of generated items within a real ball, and density the mean number of real balls that
    contain a generated item, over k. Recall is the share of real items within a generated ball, and coverage the share
    of real balls that contain a generated item.
    """
    x, y = checked(real), checked(generated)
    k = min(k, len(x) - 1, len(y) - 1)
    of_real, of_generated = _Balls(x, y, k), _Balls(y, x, k)
    return {
        "precision": of_real.held(SAMPLES, TEST),
        "recall": of_generated.held(TEST, SAMPLES),
        "density": of_real.load(SAMPLES, TEST),
        "coverage": of_real.filled(TEST, SAMPLES),
    }


class _Balls:
    """The balls around centres, and the points that they contain.

    The influence of an item is by how much a mean falls without it. Where the item is one of those averaged, that is
    its own value. Otherwise, for a share, a ball counts the points that no other ball contains, and a point the balls
    that contain no other point. The growth of balls when a centre is left out is neglected, which makes intervals
    wider, if anything.
    """

    def __init__(self, centres: NDArray[np.float64], points: NDArray[np.float64], k: int) -> None:
        self.k = k
        radii = np.concatenate([np.partition(apart, k, axis=1)[:, k] for _, apart in squared(centres, centres)])
        inside = np.empty((len(centres), len(points)), bool)
        for rows, apart in squared(centres, points):
            np.less(apart, radii[rows, None], out=inside[rows])
        self.points_in, self.balls_of = inside.sum(1).astype(np.float64), inside.sum(0).astype(np.float64)
        self.alone_in = inside[self.points_in == 1].sum(0).astype(np.float64)
        self.alone_holding = inside[:, self.balls_of == 1].sum(1).astype(np.float64)

    def held(self, points: str, centres: str) -> Estimate:
        """Return the share of points within a ball."""
        return _estimate(self.balls_of > 0, points, self.alone_holding, centres)

    def load(self, points: str, centres: str) -> Estimate:
        """Return the mean number of balls that contain a point, over k."""
        return _estimate(self.balls_of / self.k, points, self.points_in / self.k, centres)

    def filled(self, centres: str, points: str) -> Estimate:
        """Return the share of balls that contain a point."""
        return _estimate(self.points_in > 0, centres, self.alone_in, points)


def _estimate(values: NDArray[np.generic], own: str, owed: NDArray[np.float64], other: str) -> Estimate:
    """Return the mean of values over one population; `owed` is what their sum loses without each item of the other."""
    wide = values.astype(np.float64)
    influence = owed * (len(owed) / len(wide))
    return Estimate(float(wide.mean()), {own: wide - wide.mean(), other: influence - influence.mean()})
