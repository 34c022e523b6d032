"""A model of tokens that counts what follows what: n-grams with interpolated, modified Kneser-Ney smoothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Stored

Ids = NDArray[np.int64]
Chances = NDArray[np.float64]

AT_ONCE = 2**20
"""How many tokens are scored at a time, which bounds the memory and changes no score."""

NO_KEY = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Level:
    """The n-grams of one length: each is a context, by the id of an n-gram shorter by one, and the token after it.

    Attributes:
        keys: context * vocab_size + token, rising, and then NO_KEY, (grams + 1,); where an n-gram stands is its id.
        chances: probability of the token after the context that is the n-gram's own, (grams,).
        spare: probability that is left to the context without its first token, (contexts,).
    """

    keys: Ids
    chances: Chances
    spare: Chances


class NGram:
    """Tells the next token by the order - 1 before it, of which the start of an item can be one.

    Each length of context takes discounts off its counts, and spreads what that frees as the next shorter one does,
    which counts after how many tokens an n-gram is found, and not how often (Kneser and Ney 1995; interpolated, with
    three discounts a length, by Chen and Goodman 1999, as "modified Kneser-Ney"). What begins with the start follows
    nothing, and keeps its plain count. The shortest, without any context, gives each token one count more than it has,
    so that nothing is impossible.
    """

    def __init__(self, order: int, vocab_size: int) -> None:
        """Set the length of the n-grams, at least 1, and how many tokens there are."""
        self.order, self.vocab_size = order, vocab_size

    def fit(self, items: Stored) -> None:
        """Count the n-grams of items, (n, length)."""
        self.length, self.dtype = items.shape[1], items.dtype
        keys, counts = self._count(items)
        alone = counts[0][: self.vocab_size] + 1  # without the start, which is never next
        self.chances = alone / alone.sum()
        self.levels = [self._level(keys[k], counts[k], len(counts[k - 1])) for k in range(1, self.order)]

    def nats(self, items: Stored) -> Chances:
        """Return -log p of each item (n, length), all of its positions together, (n,)."""
        found, step = np.zeros(len(items)), max(1, AT_ONCE // max(1, items.shape[1]))
        for begin in range(0, len(items), step):
            found[begin : begin + step] = self._nats(items[begin : begin + step])
        return found

    def sample(self, n: int, rng: np.random.Generator) -> Stored:
        """Draw n items as long as those that were counted, of their type."""
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
                # a context that keeps the choice to itself overrides the shorter ones
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
            # what an n-gram is without its first token is among the n-grams shorter by one
            suffixes = last if k == 1 else self._find(keys[-1], suffixes[context], last)
            keys.append(np.append(known, NO_KEY))
            after = np.bincount(suffixes, minlength=len(counts[-1]))
            counts[-1] = np.where(start, counts[-1], after)
            counts.append(times)
            start = start[context]
        return keys, counts

    def _level(self, keys: Ids, counts: Ids, contexts: int) -> Level:
        """Return the n-grams of one length with what is their own and what they leave."""
        context = keys[:-1] // self.vocab_size
        total = np.bincount(context, counts, contexts)
        discount = discounts(counts)[np.minimum(counts, 3)]
        freed = np.bincount(context, discount, contexts)
        # nothing follows a context that is there only at the end of items
        spare = np.divide(freed, total, out=np.ones(contexts), where=total > 0)
        return Level(keys, (counts - discount) / total[context], spare)

    def _nats(self, items: Stored) -> Chances:
        ids = tokens = self._started(items)
        chances = self.chances[tokens[:, 1:]]
        for k, level in enumerate(self.levels, 1):
            context = ids[:, :-1]
            ids = self._find(level.keys, context, tokens[:, k:])
            # an id of -1, which is none, takes what stands last
            own = np.append(level.chances, 0.0)[ids]
            chances[:, k - 1 :] = own + np.append(level.spare, 1.0)[context] * chances[:, k - 1 :]
        found: Chances = -np.log(chances).sum(1)
        return found

    def _started(self, items: Stored) -> Ids:
        """Return items with a start, which is a token that no item has, before them."""
        return np.pad(items.astype(np.int64), ((0, 0), (1, 0)), constant_values=self.vocab_size)

    def _find(self, keys: Ids, context: Ids, tokens: Ids) -> Ids:
        """Return the ids of n-grams, -1 of those that are not there, as none is whose context is -1."""
        wanted = context * self.vocab_size + tokens
        places = np.searchsorted(keys, wanted)
        return np.where(keys[places] == wanted, places, -1)


def discounts(counts: Ids) -> Chances:
    """Return what is taken off counts of 0, 1, 2, and 3 or more, by how many n-grams have each (Chen and Goodman 1999).

    Each of these numbers is one more than it is, so that none is zero, and no discount is below that of a count of 1.
    """
    ones, twos, threes, fours = np.bincount(np.minimum(counts, 5), minlength=6)[1:5] + 1
    least = ones / (ones + 2 * twos)
    return np.array([0, least, max(least, 2 - 3 * least * threes / twos), max(least, 3 - 4 * least * fours / threes)])
