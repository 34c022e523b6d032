"""Models that anyone could write in an afternoon, whose scores show whether a network has learnt anything."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.artefacts import PreparedData
from pipeline.contents.base import DataSpec, Stored
from pipeline.ngrams import NGram

ORDERS = {"unigram": 1, "bigram": 2, "5-gram": 5}


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
        """Take the means and deviations."""
        self.spec = spec
        classes, counts = np.unique(labels, return_counts=True)
        self.shares = counts / counts.sum()
        self.means = np.stack([items[labels == each].mean(0) for each in classes])
        self.deviations = np.stack([items[labels == each].std(0) for each in classes])

    def sample(self, n: int, rng: np.random.Generator) -> Stored:
        """Draw a class by its share, and then an item of it."""
        drawn = rng.choice(len(self.shares), n, p=self.shares)
        noise = rng.standard_normal((n, *self.spec.shape))
        found = np.rint(self.means[drawn] + self.deviations[drawn] * noise)
        return found.clip(0, self.spec.levels - 1).astype(self.spec.dtype)

    def nats(self, items: Stored) -> None:
        """Return None."""


def fitted(data: PreparedData) -> dict[str, Baseline]:
    """Return the baselines of some data, fitted to train: n-grams of tokens, or the mean of each class."""
    spec, train = data.spec, np.asarray(data.array("train"))
    if not spec.vocab_size:
        return {"class_mean": ClassMean(train, data.labels("train"), spec)}
    found: dict[str, Baseline] = {}
    for name, order in ORDERS.items():
        model = NGram(order, spec.vocab_size)
        model.fit(train)
        found[name] = model
    return found
