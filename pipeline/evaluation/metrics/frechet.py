"""The Frechet distance of two sets of features, each modelled as a normal distribution (Heusel et al. 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST, blocks, checked

SIZES, ORDERS = 8, 4
"""Numbers of nested subsets of the samples, and of random orders of the samples, that `frechet_infinity` uses."""
NEGLIGIBLE = 1e-10
"""Share of the largest eigenvalue up to which an eigenvalue counts as a rounding error."""


class Moments(NamedTuple):
    """Mean (d,) and covariance (d, d) of features, in float64."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


class RunningMoments:
    """Moments of a stream of features, in memory that does not grow with its length (Chan et al. 1983)."""

    def __init__(self, size: int) -> None:
        """Set the number of features of an item."""
        self.n, self.mean, self.scatter = 0, np.zeros(size), np.zeros((size, size))

    def add(self, features: NDArray[np.floating]) -> Self:
        """Add the features of more items (n, size).

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
        """Return the moments of the items added so far.

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

    The trace of the root is the sum of the roots of the eigenvalues of F' C_b F, where C_a = F F'. That matrix is
    symmetric, so the result is real even with fewer samples than features.
    """
    return _distance(a, b, _factor(a.covariance))


def _distance(a: Moments, b: Moments, factor: NDArray[np.float64]) -> float:
    """Return the distance, given the factor of the covariance of a."""
    middle = factor.T @ b.covariance @ factor
    return _from_eigenvalues(a, b.mean, float(np.trace(b.covariance)), np.linalg.eigvalsh((middle + middle.T) / 2))


def _from_eigenvalues(a: Moments, mean: NDArray[np.float64], variance: float, values: NDArray[np.floating]) -> float:
    """Return the distance of a from a normal of this mean and total variance, given the eigenvalues under the root."""
    apart = np.square(a.mean - mean).sum() + np.trace(a.covariance) + variance
    return max(0.0, float(apart - 2 * np.sqrt(values.clip(min=0)).sum()))


def frechet(real: NDArray[np.floating], generated: NDArray[np.floating]) -> Estimate:
    """Return the Frechet distance of two sets of features (n, d) and (m, d).

    The influences of a set's items follow from the derivatives by its mean m, 2 (m - m_o), and by its covariance,
    I - T, where m_o is the mean of the other set and T the optimal transport from the set's normal to the other. With
    C_a = F F' and F' C_b F = U S^2 U', the transport from b to a is G G' with G = F U S^(-1/2). The transport from a to
    b, its inverse on the directions that both span, is H H' with H = C_b G S^(-1).
    """
    a, b = moments(real), moments(generated)
    factor = _factor(a.covariance)
    middle = factor.T @ b.covariance @ factor
    values, vectors = np.linalg.eigh((middle + middle.T) / 2)
    spanned = values > NEGLIGIBLE * values.max(initial=0.0)
    scales = np.sqrt(values[spanned])
    to_real = factor @ (vectors[:, spanned] / np.sqrt(scales))
    to_generated = b.covariance @ (to_real / scales)
    parts = {TEST: _influence(real, a, b, to_generated), SAMPLES: _influence(generated, b, a, to_real)}
    return Estimate(_from_eigenvalues(a, b.mean, float(np.trace(b.covariance)), values), parts)


def frechet_infinity(
    real: NDArray[np.floating],
    generated: NDArray[np.floating],
    rng: np.random.Generator,
    plain: Estimate | None = None,
) -> Estimate:
    """Return the distance extrapolated to infinitely many samples (Chong & Forsyth 2020), as its bias falls as 1 / n.

    This fits a line to the distances of nested subsets of the samples, a quarter to all of them, over 1 / n, and
    averages its intercept over seeded orders of the samples. `plain` is `frechet` of the same features, if known.

    Raises:
        ValueError: there are too few samples for two subsets.
    """
    n, size = generated.shape
    ends = np.unique(np.linspace(max(2, n // 4), n, SIZES).astype(int))
    if len(ends) < 2:
        raise ValueError(f"{n} samples are too few to extrapolate their Frechet distance")
    slopes = 1 / ends - np.mean(1 / ends)
    weights = 1 / len(ends) - slopes * np.mean(1 / ends) / np.square(slopes).sum()
    a, plain = moments(real), plain or frechet(real, generated)
    factor, counted = _factor(a.covariance), np.full(n, weights[-1])
    value = weights[-1] * plain.value
    for _ in range(ORDERS):
        order, running = rng.permutation(n), RunningMoments(size)
        few = ends[:-1][ends[:-1] < size]
        apart = list(_distances_of_few(a, checked(generated[order[: few[-1]]]), few, factor)) if len(few) else []
        for end in ends[len(few) : -1]:
            rest = order[running.n : end]
            for rows in blocks(len(rest), size):
                running.add(generated[rest[rows]])
            apart.append(_distance(a, running.moments(), factor))
        value += float(np.dot(weights[:-1], apart)) / ORDERS
        for end, weight in zip(ends[:-1], weights[:-1] / ORDERS, strict=True):
            counted[order[:end]] += weight * n / end
    effect = plain.parts[SAMPLES] * counted
    return Estimate(value, {TEST: plain.parts[TEST], SAMPLES: effect - effect.mean()})


def _distances_of_few(
    a: Moments, few: NDArray[np.float64], ends: NDArray[np.int64], factor: NDArray[np.float64]
) -> Iterator[float]:
    """Yield, for each of `ends`, the distance of a from the normal of that many first items of `few` (n, d), n < d.

    `factor` is that of the covariance of a. The eigenvalues that are not 0 are those of a Gram matrix of n rows.
    """
    rooted = (few - few.mean(0)) @ factor
    products = rooted @ rooted.T
    for end in ends:
        gram = products[:end, :end] - products[:end, :end].mean(0)
        gram -= gram.mean(1)[:, None]
        mean, variance = few[:end].mean(0), float(few[:end].var(0, ddof=1).sum())
        yield _from_eigenvalues(a, mean, variance, np.linalg.eigvalsh((gram + gram.T) / 2 / (end - 1)))


def _influence(
    features: NDArray[np.floating], own: Moments, other: Moments, transport: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the influence of each item on the distance of `own` from `other`, given G of the transport G G'."""
    shift = 2 * (own.mean - other.mean)
    found = np.empty(len(features))
    for rows in blocks(*features.shape):
        centred = np.asarray(features[rows], np.float64) - own.mean
        found[rows] = centred @ shift + np.square(centred).sum(1) - np.square(centred @ transport).sum(1)
    found -= found.mean()
    return found


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F (d, r) with F F' = covariance, which is symmetric and positive semi-definite, of numerical rank r."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    spanned = values > NEGLIGIBLE * values.max(initial=0.0)
    found: NDArray[np.float64] = vectors[:, spanned] * np.sqrt(values[spanned])
    return found
