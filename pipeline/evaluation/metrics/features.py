"""What the metrics ask of features, and distances between them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

TEST, SAMPLES = "test", "samples"
"""Names of the populations that a score is over."""
BLOCK = 2**24
"""Distances, or features, that are held at a time."""


def checked(features: NDArray[np.floating], least: int = 2) -> NDArray[np.float64]:
    """Return features (n, d) in float64.

    Raises:
        ValueError: they are fewer than `least`, or a value is not finite.
    """
    if len(features) < least:
        raise ValueError(f"at least {least} rows of features are needed, not {len(features)}")
    wide = np.asarray(features, np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("features hold values that are not finite")
    return wide


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield the parts that n rows of features are taken in, so that memory does not grow with n."""
    step = max(1, BLOCK // size)
    yield from (slice(start, min(n, start + step)) for start in range(0, n, step))


def compact(*sets: NDArray[np.floating]) -> list[NDArray[np.floating]]:
    """Return sets of features in axes of the space that they span together, where it has fewer: distances stay.

    Where it has not, they stay as they are, and where they lie.
    """
    if sum(map(len, sets)) >= sets[0].shape[1]:
        return list(sets)
    wide = [checked(each, 0) for each in sets]
    axes = np.linalg.qr(np.concatenate(wide).T)[0]
    return [each @ axes for each in wide]


def squared(a: NDArray[np.float64], b: NDArray[np.float64]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield squared Euclidean distances of some rows of a from all rows of b, and which rows they are."""
    lengths = np.square(b).sum(1)
    step = max(1, BLOCK // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, start + step)
        found = np.square(a[rows]).sum(1)[:, None] + lengths - 2 * a[rows] @ b.T
        yield rows, found.clip(min=0)


def nearest(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return how far the nearest row of b is from each row of a, (len(a),), and which one it is.

    The distance is computed from the differences, so that a copy is at 0, whatever rounding makes of squares.
    """
    which = np.concatenate([found.argmin(1) for _, found in squared(a, b)])
    return np.sqrt(np.square(a - b[which]).sum(1)), which
