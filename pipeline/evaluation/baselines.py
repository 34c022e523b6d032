"""Trivial models, whose scores show whether a network has learnt anything."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import DataSpec, Stored
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.ngrams import NGram

ORDERS = {"unigram": 1, "bigram": 2, "5-gram": 5}
TOKENS = 10_000_000
"""Tokens of train from which n-grams are counted, at most: counting takes some 175 bytes per token."""
PIECE = 256
"""Items held as floats at a time."""


class Baseline(Protocol):
    """A baseline model of stored items."""

    def sample(self, n: int, rng: np.random.Generator) -> Stored:
        """Draw n items."""
        ...

    def nats(self, items: Stored) -> NDArray[np.float64] | None:
        """Return -log p of each item, (n,), or None if the baseline has no density."""
        ...


class ClassMean:
    """The mean item of a class, plus normal noise with the standard deviation of the class at each value."""

    def __init__(self, items: Stored, labels: NDArray[np.integer], spec: DataSpec) -> None:
        """Compute the mean and the standard deviation of each class, PIECE items at a time."""
        self.spec = spec
        classes, rows, counts = np.unique(labels, return_inverse=True, return_counts=True)
        sums, squares = np.zeros((2, len(classes), *spec.shape))
        for start in range(0, len(items), PIECE):
            part, of_part = items[start : start + PIECE].astype(np.float64), rows[start : start + PIECE]
            for each in np.unique(of_part):
                sums[each] += part[of_part == each].sum(0)
                squares[each] += np.square(part[of_part == each]).sum(0)
        n = counts.reshape(-1, *[1] * len(spec.shape))
        self.shares = counts / counts.sum()
        self.means = sums / n
        self.deviations = np.sqrt((squares / n - np.square(self.means)).clip(0))

    def sample(self, n: int, rng: np.random.Generator) -> Stored:
        """Draw a class for each item, in proportion to its share of the data, and then the item from that class."""
        found = np.empty((n, *self.spec.shape), self.spec.dtype)
        for start in range(0, n, PIECE):
            part = found[start : start + PIECE]
            drawn = rng.choice(len(self.shares), len(part), p=self.shares)
            values = self.means[drawn] + self.deviations[drawn] * rng.standard_normal(part.shape)
            part[:] = np.rint(values).clip(0, self.spec.levels - 1)
        return found

    def nats(self, items: Stored) -> None:
        """Return None: this baseline has no density."""


def fitted(data: PreparedData) -> dict[str, Baseline]:
    """Return baselines fitted to train: n-gram models for tokens, otherwise the mean of each class."""
    spec, train = data.spec, data.array("train")
    if spec.kind == "numbers":
        return {"class_mean": ClassMean(train, data.labels("train"), spec)}
    few = np.array(train[: max(1, TOKENS // spec.shape[0])])
    found: dict[str, Baseline] = {}
    for name, order in ORDERS.items():
        model = NGram(order, spec.vocab_size)
        model.fit(few)
        found[name] = model
    return found
