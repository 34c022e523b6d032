"""How many samples are copies of items that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.evaluation.metrics.features import SAMPLES, TEST, checked, nearest

TRAIN = "train"


@dataclass(frozen=True)
class Copies:
    """What was found of copying.

    Attributes:
        share: the share of samples that are copies: 0 in expectation for a model that favours no item of train over an
            item that it never saw, 1 for one that copies; it may be below 0 by chance.
        distances: of each sample from its nearest item of train, (n,).
        sources: which item of train that is, (n,).
    """

    share: Estimate
    distances: NDArray[np.float64]
    sources: NDArray[np.int64]


def copies(train: NDArray[np.floating], test: NDArray[np.floating], generated: NDArray[np.floating]) -> Copies:
    """Ask whether samples lie nearer to train than to test, items of which the model never saw.

    Train and test are drawn alike. So a sample that is no copy has its nearest neighbour, among both, in train with the
    probability e = n_train / (n_train + n_test), wherever it lies (Schilling 1986); were c of the samples copies, the
    share would be c + (1 - c) e, which is solved for c. The influence of an item of train or test is by how much the
    share falls without it: the samples that it is nearest to turn to another, which is in train with probability e.
    """
    seen, unseen, drawn = checked(train, 1), checked(test, 1), checked(generated, 1)
    to_train, sources = nearest(drawn, seen)
    to_test, nearest_test = nearest(drawn, unseen)
    # an item of test that has a duplicate in train is as near: it counts half
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
