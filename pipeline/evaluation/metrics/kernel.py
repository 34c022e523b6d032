"""The kernel distance of two sets of features (Binkowski et al. 2018)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST, blocks, checked


def kid(real: NDArray[np.floating], generated: NDArray[np.floating]) -> Estimate:
    """Return the unbiased estimate of the squared MMD under k(x, y) = (x.y / d + 1)^3 (eq. 4), over all pairs.

    The estimate can be negative. The influence of an item is twice its centred projection (Hoeffding 1948).
    """
    x, y = checked(real), checked(generated)
    xx, yy = _within(x), _within(y)
    xy, yx = _across(x, y)
    value = float(xx.mean() + yy.mean() - 2 * xy.mean())
    return Estimate(
        value,
        {TEST: 2 * (xx - xx.mean() - xy + xy.mean()), SAMPLES: 2 * (yy - yy.mean() - yx + yx.mean())},
    )


def _within(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean kernel of each row with all other rows."""
    alone = (np.square(x).sum(1) / x.shape[1] + 1) ** 3
    means: NDArray[np.float64] = (_across(x, x)[0] * len(x) - alone) / (len(x) - 1)
    return means


def _across(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean kernel of each row of x with the rows of y, and of each row of y with those of x."""
    of_x, of_y = np.empty(len(x)), np.zeros(len(y))
    for rows in blocks(len(x), len(y)):
        kernel = x[rows] @ y.T / x.shape[1] + 1
        # numpy's power takes thirty times as long
        kernel *= kernel * kernel
        of_x[rows] = kernel.mean(1)
        of_y += kernel.sum(0) / len(x)
    return of_x, of_y
