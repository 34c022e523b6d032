"""Distance of two sets of items by the histograms of their parts, such as n-grams or kinds of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST


def jensen_shannon(real: Any, generated: Any) -> Estimate:
    """Return the Jensen-Shannon distance of the histograms of two sets, from 0 to 1 (Endres & Schindelin 2003).

    It is the square root of the divergence, in bits, between the total counts of the two sets. Each set is a
    `csr_array` of counts (n, bins). For two samples of one distribution the distance is above 0, and the larger the
    fewer items they have. It is 0 if both sets have no counts at all, and 1 if only one of them has none.
    """
    bins, sets = np.unique(np.concatenate([real.indices, generated.indices]), return_inverse=True)
    counts = np.split(sets, [len(real.indices)])
    p, q = (
        np.bincount(at, weights=each.data, minlength=len(bins))
        for at, each in zip(counts, (real, generated), strict=True)
    )
    if not (p.sum() and q.sum()):
        parts = {TEST: np.zeros(real.shape[0]), SAMPLES: np.zeros(generated.shape[0])}
        return Estimate(float(bool(p.sum() or q.sum())), parts)
    p, q = p / p.sum(), q / q.sum()
    ratios = [np.log2(each, out=np.zeros(len(bins)), where=each > 0) - np.log2((p + q) / 2) for each in (p, q)]
    value = float(np.sqrt(max(0.0, (p @ ratios[0] + q @ ratios[1]) / 2)))
    # derivative of the divergence by a share: half the log ratio; of its square root: that over twice the root
    influences = [
        _influence(each, at, ratio, share) / (4 * value) if value else np.zeros(each.shape[0])
        for each, at, ratio, share in zip((real, generated), counts, ratios, (p, q), strict=True)
    ]
    return Estimate(value, dict(zip((TEST, SAMPLES), influences, strict=True)))


def _influence(
    counts: Any, at: NDArray[np.int64], ratio: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return, to first order and times n, how far the mean ratio moves if an item's counts are added once more."""
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    weights = np.bincount(rows, weights=counts.data, minlength=counts.shape[0])
    sums = np.bincount(rows, weights=counts.data * ratio[at], minlength=counts.shape[0])
    found: NDArray[np.float64] = (sums - weights * (share @ ratio)) / weights.mean()
    return found
