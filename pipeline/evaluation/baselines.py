"""Models that anyone could write in an afternoon, whose scores show whether a network has learnt anything."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import DataSpec, Stored
from pipeline.data.prepared import PreparedData
from pipeline.evaluation.ngrams import NGram

ORDERS = {"unigram": 1, "bigram": 2, "5-gram": 5}
TOKENS = 10_000_000
"""Of train that n-grams are counted in, at most: they take some 175 bytes a token."""
PIECE = 256
"""Items that are held as floats at a time."""


class Baseline(Protocol):
    """A model of stored items."""

    def sample(self, n: int, rng: np.random.Generator) -> Stored:
        """Draw n items."""
        ...

    def nats(self, items: Stored) -> NDArray[np.float64] | None:
        """Return -log p of each item, (n,); None where there is no such thing."""
        ...


class ClassMean:
    """The mean item of a class, with normal noise as wide as the class is at each value."""

    def __init__(self, items: Stored, labels: NDArray[np.integer], spec: DataSpec) -> None:
        """Take the means and deviations, a piece of the items at a time."""
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
        """Draw a class by its share, and then an item of it."""
        found = np.empty((n, *self.spec.shape), self.spec.dtype)
        for start in range(0, n, PIECE):
            part = found[start : start + PIECE]
            drawn = rng.choice(len(self.shares), len(part), p=self.shares)
            values = self.means[drawn] + self.deviations[drawn] * rng.standard_normal(part.shape)
            part[:] = np.rint(values).clip(0, self.spec.levels - 1)
        return found

    def nats(self, items: Stored) -> None:
        """Return None."""


def fitted(data: PreparedData) -> dict[str, Baseline]:
    """Return the baselines of some data, fitted to train: n-grams of tokens, or the mean of each class."""
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
