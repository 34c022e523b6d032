"""An n-gram model of tokens with interpolated, modified Kneser-Ney smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Stored

Ids = NDArray[np.int64]
Chances = NDArray[np.float64]

AT_ONCE = 2**20
"""Tokens scored at a time; bounds memory and does not affect scores."""

NO_KEY = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Level:
    """The n-grams of one length: each is a context (the id of an n-gram shorter by one) and the token after it.

    Attributes:
        keys: context * vocab_size + token, ascending, then NO_KEY, (grams + 1,); the index of a key is the n-gram's id.
        chances: discounted probability of the token after the context, without the share of shorter contexts, (grams,).
        spare: probability mass that each context passes on to the context without its first token, (contexts,).
    """

    keys: Ids
    chances: Chances
    spare: Chances


class NGram:
    """Predicts the next token from the order - 1 tokens before it, one of which can be the start of an item.

    Each context length discounts its counts, and distributes the freed probability mass by the next shorter length,
    which counts the distinct tokens before an n-gram instead of its occurrences (Kneser and Ney 1995). Interpolation
    and three discounts per length are those of "modified Kneser-Ney" (Chen and Goodman 1999). No token precedes an
    n-gram that begins with the start of an item, so such an n-gram keeps its plain count. The shortest length, which
    has no context, adds one to the count of each token, so that every token has a positive probability.
    """

    def __init__(self, order: int, vocab_size: int) -> None:
        """Set the length of the n-grams, at least 1, and the size of the vocabulary."""
        self.order, self.vocab_size = order, vocab_size

    def fit(self, items: Stored) -> None:
        """Count the n-grams of items, (n, length)."""
        self.length, self.dtype = items.shape[1], items.dtype
        keys, counts = self._count(items)
        alone = counts[0][: self.vocab_size] + 1  # the start is never the next token
        self.chances = alone / alone.sum()
        self.levels = [self._level(keys[k], counts[k], len(counts[k - 1])) for k in range(1, self.order)]

    def nats(self, items: Stored) -> Chances:
        """Return -log p of each item (n, length), summed over its positions, (n,)."""
        found, step = np.zeros(len(items)), max(1, AT_ONCE // max(1, items.shape[1]))
        for begin in range(0, len(items), step):
            found[begin : begin + step] = self._nats(items[begin : begin + step])
        return found

    def sample(self, n: int, rng: np.random.Generator) -> Stored:
        """Draw n items with the length and dtype of the items that the model was fitted to."""
        samples = np.empty((n, self.length), self.dtype)
        below = np.cumsum(self.chances)
        sums = [np.concatenate([[0.0], np.cumsum(level.chances)]) for level in self.levels]
        contexts = [np.full(n, self.vocab_size)] + [np.full(n, -1)] * (self.order - 1)
        for column in range(self.length):
            drawn = rng.random((self.order, n))
            tokens = np.searchsorted(below[:-1], drawn[0], "right")
            for level, total, context, u in zip(self.levels, sums, contexts, drawn[1:], strict=False):
                begin, end = (np.searchsorted(level.keys, each * self.vocab_size) for each in (context, context + 1))
                gram = np.searchsorted(total, total[begin] + u, "right") - 1
                # a draw within the context's own mass overrides the choice of shorter contexts
                own = u < total[end] - total[begin]
                tokens = np.where(own, level.keys[np.minimum(gram, end - 1)] % self.vocab_size, tokens)
            samples[:, column] = tokens
            longer = [self._find(level.keys, each, tokens) for level, each in zip(self.levels, contexts, strict=False)]
            contexts = [tokens, *longer]
        return samples

    def _count(self, items: Stored) -> tuple[list[Ids], list[Ids]]:
        """Return the keys and the counts of the n-grams of each length."""
        tokens = self._started(items)
        ids, keys = tokens, [np.arange(0)]
        counts = [np.bincount(tokens.ravel(), minlength=self.vocab_size + 1)]
        suffixes, start = np.arange(0), np.arange(self.vocab_size + 1) == self.vocab_size
        for k in range(1, self.order):
            pairs = ids[:, :-1] * self.vocab_size + tokens[:, k:]
            known, ids, times = np.unique(pairs, return_inverse=True, return_counts=True)
            context, last = known // self.vocab_size, known % self.vocab_size
            # an n-gram without its first token is one of the n-grams shorter by one
            suffixes = last if k == 1 else self._find(keys[-1], suffixes[context], last)
            keys.append(np.append(known, NO_KEY))
            after = np.bincount(suffixes, minlength=len(counts[-1]))
            counts[-1] = np.where(start, counts[-1], after)
            counts.append(times)
            start = start[context]
        return keys, counts

    def _level(self, keys: Ids, counts: Ids, contexts: int) -> Level:
        """Return the n-grams of one length with discounted probabilities and the mass left to shorter contexts."""
        context = keys[:-1] // self.vocab_size
        total = np.bincount(context, counts, contexts)
        discount = discounts(counts)[np.minimum(counts, 3)]
        freed = np.bincount(context, discount, contexts)
        # a context that occurs only at the end of items has no next token
        spare = np.divide(freed, total, out=np.ones(contexts), where=total > 0)
        return Level(keys, (counts - discount) / total[context], spare)

    def _nats(self, items: Stored) -> Chances:
        ids = tokens = self._started(items)
        chances = self.chances[tokens[:, 1:]]
        for k, level in enumerate(self.levels, 1):
            context = ids[:, :-1]
            ids = self._find(level.keys, context, tokens[:, k:])
            # an id of -1 (no n-gram) selects the appended last element
            own = np.append(level.chances, 0.0)[ids]
            chances[:, k - 1 :] = own + np.append(level.spare, 1.0)[context] * chances[:, k - 1 :]
        found: Chances = -np.log(chances).sum(1)
        return found

    def _started(self, items: Stored) -> Ids:
        """Return items with a start token, which no item contains, in front."""
        return np.pad(items.astype(np.int64), ((0, 0), (1, 0)), constant_values=self.vocab_size)

    def _find(self, keys: Ids, context: Ids, tokens: Ids) -> Ids:
        """Return the ids of n-grams, -1 for unknown ones; an n-gram whose context is -1 is unknown."""
        wanted = context * self.vocab_size + tokens
        places = np.searchsorted(keys, wanted)
        return np.where(keys[places] == wanted, places, -1)


def discounts(counts: Ids) -> Chances:
    """Return the discounts of counts 0, 1, 2, and 3 or more, from the numbers of n-grams with each count.

    The formulas are those of Chen and Goodman (1999), except that each number of n-grams is increased by one, so that
    none is zero, and that no discount is below that of a count of 1.
    """
    ones, twos, threes, fours = np.bincount(np.minimum(counts, 5), minlength=6)[1:5] + 1
    least = ones / (ones + 2 * twos)
    return np.array([0, least, max(least, 2 - 3 * least * threes / twos), max(least, 3 - 4 * least * fours / threes)])
