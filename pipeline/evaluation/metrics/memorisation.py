"""The share of samples that are copies of items of train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST, checked, nearest

TRAIN = "train"


@dataclass(frozen=True)
class Copies:
    """An estimate of copying, with the nearest item of train of each sample.

    Attributes:
        share: share of samples that are copies. Its expectation is 0 for a model that favours no item of train over an
            unseen item, and 1 for a model that only copies. It can be negative by chance.
        distances: distance of each sample from its nearest item of train, (n,).
        sources: index of that item, (n,).
    """

    share: Estimate
    distances: NDArray[np.float64]
    sources: NDArray[np.int64]


def copies(train: NDArray[np.floating], test: NDArray[np.floating], generated: NDArray[np.floating]) -> Copies:
    """Estimate the share of copies from how many samples are nearer to train than to test, which the model never saw.

    Train and test are drawn from the same distribution, so the nearest neighbour, among both, of a sample that is no
    copy is in train with probability e = n_train / (n_train + n_test), wherever the sample lies (Schilling 1986). If a
    share c of the samples are copies, the expected share with a neighbour in train is c + (1 - c) e. This is solved
    for c. The influence of an item of train or test is by how much the estimate falls without it: the samples whose
    nearest neighbour it is then have another one, which is in train with probability e.
    """
    seen, unseen, drawn = checked(train, 1), checked(test, 1), checked(generated, 1)
    to_train, sources = nearest(drawn, seen)
    to_test, nearest_test = nearest(drawn, unseen)
    # a tie, from an item of test with a duplicate in train, counts half
    won = (to_train < to_test) + 0.5 * (to_train == to_test)
    expected = len(seen) / (len(seen) + len(unseen))
    value = (won.mean() - expected) / (1 - expected)
    of_train = np.bincount(sources, won, len(seen)) * (len(seen) / len(drawn))
    of_test = np.bincount(nearest_test, 1 - won, len(unseen)) * (len(unseen) / len(drawn)) * expected / (1 - expected)
    parts = {
        SAMPLES: (won - won.mean()) / (1 - expected),
        TRAIN: of_train - of_train.mean(),
        TEST: of_test.mean() - of_test,
    }
    return Copies(Estimate(float(value), parts), to_train, sources)
