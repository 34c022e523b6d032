"""The Frechet distance of two sets of features, each taken for a normal (Heusel et al. 2017)."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.metrics.estimates import Estimate
from pipeline.metrics.features import SAMPLES, TEST, blocks, checked

SIZES, ORDERS = 8, 4
"""Of the parts of the samples that `frechet_infinity` extrapolates from, and how many times they are drawn."""
NEGLIGIBLE = 1e-10
"""Share of the largest eigenvalue below which one is taken for rounding."""


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d) of features, in float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


class RunningMoments:
    """Moments of any number of features, in memory that does not grow with it (Chan et al. 1983)."""

    def __init__(self, size: int) -> None:
        """Set how many features an item has."""
        self.n, self.mean, self.scatter = 0, np.zeros(size), np.zeros((size, size))

    def add(self, features: NDArray[np.floating]) -> Self:
        """Take in some more items (n, size).

        Raises:
            ValueError: a value is not finite.
        """
        wide = checked(features, 0)
        if len(wide):
            n = self.n + len(wide)
            shift = wide.mean(0) - self.mean
            centred = wide - wide.mean(0)
            self.scatter += centred.T @ centred + np.outer(shift, shift) * (self.n * len(wide) / n)
            self.mean = self.mean + shift * (len(wide) / n)
            self.n = n
        return self

    def moments(self) -> Moments:
        """Return the moments so far.

        Raises:
            ValueError: there are fewer than two items.
        """
        if self.n < 2:
            raise ValueError(f"moments need at least two rows of features, not {self.n}")
        return Moments(self.mean, self.scatter / (self.n - 1))


def moments(features: NDArray[np.floating]) -> Moments:
    """Return the moments of features (n, d).

    Raises:
        ValueError: there are fewer than two rows, or a value is not finite.
    """
    running = RunningMoments(features.shape[1])
    for rows in blocks(*features.shape):
        running.add(features[rows])
    return running.moments()


def distance(a: Moments, b: Moments) -> float:
    """Return |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two normals.

    The trace of the root is the sum of the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is symmetric: the
    result is real also where there are fewer samples than features.
    """
    return _distance(a, b, _power(a.covariance, 0.5))


def _distance(a: Moments, b: Moments, root: NDArray[np.float64]) -> float:
    """Return the distance, given the root of the covariance of a."""
    middle = root @ b.covariance @ root
    apart = np.square(a.mean - b.mean).sum() + np.trace(a.covariance) + np.trace(b.covariance)
    return max(0.0, float(apart - 2 * _sum_of_roots((middle + middle.T) / 2)))


def _distance_of_few(a: Moments, few: NDArray[np.float64], root: NDArray[np.float64]) -> float:
    """Return the distance of a normal from that of items (n, d), n < d, given the root of its covariance.

    The eigenvalues that count are those of a Gram matrix of n rows.
    """
    rooted = few @ root
    centred = (rooted - rooted.mean(0)) / np.sqrt(len(few) - 1)
    apart = np.square(a.mean - few.mean(0)).sum() + np.trace(a.covariance) + few.var(0, ddof=1).sum()
    return max(0.0, float(apart - 2 * _sum_of_roots(centred @ centred.T)))


def _sum_of_roots(matrix: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.linalg.eigvalsh(matrix).clip(min=0)).sum())


def frechet(real: NDArray[np.floating], generated: NDArray[np.floating]) -> Estimate:
    """Return the Frechet distance of two sets of features (n, d) and (m, d)."""
    a, b = moments(real), moments(generated)
    root_a, root_b = (_power(each.covariance, 0.5) for each in (a, b))
    parts = {TEST: _influence(real, a, b, root_b), SAMPLES: _influence(generated, b, a, root_a)}
    return Estimate(_distance(a, b, root_a), parts)


def frechet_infinity(
    real: NDArray[np.floating],
    generated: NDArray[np.floating],
    rng: np.random.Generator,
    plain: Estimate | None = None,
) -> Estimate:
    """Return the distance that infinitely many samples would have (Chong & Forsyth 2020): its bias falls as 1 / n.

    The intercept of a line through the distances of nested parts of the samples, a quarter to all of them, over 1 / n;
    the mean over seeded orders of the samples. `plain` is `frechet` of the same features, where it is known.
    """
    n, size = generated.shape
    ends = np.unique(np.linspace(max(2, n // 4), n, SIZES).astype(int))
    if len(ends) < 2:
        raise ValueError(f"no line goes through the distances of {n} samples")
    slopes = 1 / ends - np.mean(1 / ends)
    weights = 1 / len(ends) - slopes * np.mean(1 / ends) / np.square(slopes).sum()
    a = moments(real)
    root, value, counted = _power(a.covariance, 0.5), 0.0, np.zeros(n)
    for _ in range(ORDERS):
        order, running = rng.permutation(n), RunningMoments(size)
        for end, weight in zip(ends, weights / ORDERS, strict=True):
            if end < size:
                value += weight * _distance_of_few(a, checked(generated[order[:end]]), root)
            else:
                rest = order[running.n : end]
                for rows in blocks(len(rest), size):
                    running.add(generated[rest[rows]])
                value += weight * _distance(a, running.moments(), root)
            counted[order[:end]] += weight * n / end
    parts = (plain or frechet(real, generated)).parts
    effect = parts[SAMPLES] * counted
    return Estimate(value, {TEST: parts[TEST], SAMPLES: effect - effect.mean()})


def _influence(
    features: NDArray[np.floating], own: Moments, other: Moments, root: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the influence of each item on the distance of its set's normal from another.

    The derivative by the own mean is 2 (m - m_o), and that by the own covariance is I - T, with the optimal transport
    from the own normal to the other, T = C_o^(1/2) (C_o^(1/2) C C_o^(1/2))^(-1/2) C_o^(1/2), given `root` C_o^(1/2).
    """
    transport = root @ _power(root @ own.covariance @ root, -0.5) @ root
    shift, form = 2 * (own.mean - other.mean), np.eye(len(own.mean)) - transport
    found = np.empty(len(features))
    for rows in blocks(*features.shape):
        centred = np.asarray(features[rows], np.float64) - own.mean
        found[rows] = centred @ shift + (centred @ form * centred).sum(1)
    found -= found.mean()
    return found


def _power(matrix: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return a power of a symmetric positive matrix, on the directions that it spans."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    spanned = values > NEGLIGIBLE * max(values[-1], 0.0)
    powers = np.where(spanned, np.where(spanned, values, 1.0) ** power, 0.0)
    found: NDArray[np.float64] = (vectors * powers) @ vectors.T
    return found
