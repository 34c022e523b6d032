"""How far apart two sets of items are in what they are made of, such as n-grams or kinds of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST


def jensen_shannon(real: Any, generated: Any) -> Estimate:
    """Return the Jensen-Shannon distance of the histograms of two sets, from 0 to 1 (Endres & Schindelin 2003).

    It is the square root of the divergence in bits of all counts of one set from all of the other. Sets are sparse
    counts (n, bins), a `csr_array`; where both are samples of one distribution the distance is above 0, and the more so
    the fewer their items.

    Of two sets that count nothing it is 0, of one that does from one that does not 1.
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
    # the divergence moves by half the ratio where counts move to, and its root by that over twice the root
    influences = [
        _influence(each, at, ratio, share) / (4 * value) if value else np.zeros(each.shape[0])
        for each, at, ratio, share in zip((real, generated), counts, ratios, (p, q), strict=True)
    ]
    return Estimate(value, dict(zip((TEST, SAMPLES), influences, strict=True)))


def _influence(
    counts: Any, at: NDArray[np.int64], ratio: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far the mean of the ratio moves, to first order and times n, were an item's counts there once more."""
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    weights = np.bincount(rows, weights=counts.data, minlength=counts.shape[0])
    sums = np.bincount(rows, weights=counts.data * ratio[at], minlength=counts.shape[0])
    found: NDArray[np.float64] = (sums - weights * (share @ ratio)) / weights.mean()
    return found
