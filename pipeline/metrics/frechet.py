"""The Frechet distance of two sets of features, each taken for a normal (Heusel et al. 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def moments(features: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean (d,) and covariance (d, d) of features (n, d), in float64; n must be at least 2.

    Raises:
        ValueError: there are fewer than two rows, or a value is not finite.
    """
    if len(features) < 2:
        raise ValueError(f"moments need at least two rows of features, not {len(features)}")
    wide = features.astype(np.float64)
    if not np.isfinite(wide).all():
        raise ValueError("features hold values that are not finite")
    return wide.mean(0), np.atleast_2d(np.cov(wide, rowvar=False))


def distance(
    mean_a: NDArray[np.float64], cov_a: NDArray[np.float64], mean_b: NDArray[np.float64], cov_b: NDArray[np.float64]
) -> float:
    """Return |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two normals.

    The trace of the root is the sum of the roots of the eigenvalues of C_a^(1/2) C_b C_a^(1/2), which is symmetric: the
    result is real also where there are fewer samples than features.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    middle = root @ cov_b @ root
    shared = np.sqrt(np.linalg.eigvalsh((middle + middle.T) / 2).clip(min=0)).sum()
    return max(0.0, float(np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * shared))


def frechet(real: NDArray[np.floating], generated: NDArray[np.floating]) -> float:
    """Return the Frechet distance of two sets of features (n, d) and (m, d)."""
    return distance(*moments(real), *moments(generated))
