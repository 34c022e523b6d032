"""Checks of features, and distances between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

TEST, SAMPLES = "test", "samples"
"""Names of the populations over which scores are computed."""
BLOCK = 2**24
"""Distances, or values of features, that are held in memory at a time."""


def checked(features: NDArray[np.floating], least: int = 2) -> NDArray[np.float64]:
    """Return features (n, d) in float64.

    Raises:
        ValueError: there are fewer than `least` rows, or a value is not finite.
    """
    if len(features) < least:
        raise ValueError(f"at least {least} rows of features are needed, not {len(features)}")
    wide = np.asarray(features, np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("features hold values that are not finite")
    return wide


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield consecutive slices of n rows of `size` values each, at most BLOCK values a slice where a row allows it."""
    step = max(1, BLOCK // size)
    yield from (slice(start, min(n, start + step)) for start in range(0, n, step))


def compact(*sets: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Return sets of features in a basis of the space that they jointly span, which preserves distances.

    If there are at least as many rows as features, return the sets unchanged and without copying them.
    """
    if sum(map(len, sets)) >= sets[0].shape[1]:
        return list(sets)
    wide = [checked(each, 0) for each in sets]
    axes = np.linalg.qr(np.concatenate(wide).T)[0]
    return [each @ axes for each in wide]


def squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield slices of the rows of a, each with the squared Euclidean distances of these rows from all rows of b."""
    lengths = np.square(b).sum(1)
    step = max(1, BLOCK // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        found = np.square(a[rows]).sum(1)[:, None] + lengths - 2 * a[rows] @ b.T
        yield rows, found.clip(min=0)


def nearest(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance of each row of a from its nearest row of b, (len(a),), and the index of that row.

    Computed from the differences, the distance of a copy is exactly 0, without the rounding errors of `squared`.
    """
    which = np.concatenate([found.argmin(1) for _, found in squared(a, b)])
    return np.sqrt(np.square(a - b[which]).sum(1)), which
