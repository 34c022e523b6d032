"""Exact metrics of diversity, edit distance and copying, in numpy, for thousands of strings at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 21
"""Characters of train that are searched for copies at a time."""
GRAM = 4
BINS = 1 << 20


def distinct(texts: Iterable[str], n: int) -> float:
    """Return the share of distinct runs among all runs of n words or signs (Li et al. 2016, "distinct-n")."""
    runs = [run for text in texts for run in _word_runs(text, n)]
    return len(set(runs)) / len(runs) if runs else 0.0


def _word_runs(text: str, n: int) -> Iterator[tuple[str, ...]]:
    words = re.findall(r"\w+|[^\w\s]", text)
    return zip(*(words[i:] for i in range(n)), strict=False)


def grams(texts: Sequence[str]) -> Any:
    """Count the runs of four characters of each text, hashed into 2^20 bins: a `csr_array`."""
    from scipy.sparse import csr_array

    rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for i, text in enumerate(texts):
        points = _points(text).astype(np.uint64)
        found = np.zeros(max(0, len(points) - GRAM + 1), np.uint64)
        for j in range(GRAM):
            found = (found ^ points[j : j + len(found)]) * np.uint64(0x9E3779B97F4A7C15)
            found ^= found >> np.uint64(29)
        rows.append(np.full(len(found), i))
        columns.append((found % np.uint64(BINS)).astype(np.int64))
    at = (np.concatenate(rows), np.concatenate(columns))
    return csr_array((np.ones(len(at[0])), at), shape=(len(texts), BINS))


def edit_similarity(texts: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
    """Return 1 - the Levenshtein distance over the length of the longer text, for each pair of texts.

    Fills the table of prefixes row by row (Wagner & Fischer 1974), for all pairs at once.
    """
    a, a_lengths = _padded(texts)
    b, b_lengths = _padded(others)
    steps = np.arange(b.shape[1] + 1)
    row = np.broadcast_to(steps, (len(a), len(steps))).copy()
    last = row.copy()
    for i in range(a.shape[1]):
        step = row + 1
        np.minimum(step[:, 1:], row[:, :-1] + (a[:, i, None] != b), out=step[:, 1:])
        # a step from the left costs 1 per column
        row = np.minimum.accumulate(step - steps, axis=1) + steps
        last[a_lengths == i + 1] = row[a_lengths == i + 1]
    distance = np.take_along_axis(last, b_lengths[:, None], 1)[:, 0]
    found: NDArray[np.float64] = 1 - distance / np.maximum(np.maximum(a_lengths, b_lengths), 1)
    return found


def _padded(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the characters of texts (n, longest), padded with -1, and their lengths (n,)."""
    lengths = np.array([len(text) for text in texts], np.int64)
    array = np.full((len(texts), lengths.max(initial=0)), -1, np.int64)
    for row, text in zip(array, texts, strict=True):
        row[: len(text)] = _points(text)
    return array, lengths


def longest_copies(texts: Sequence[str], train: Sequence[str]) -> NDArray[np.int64]:
    """Return the length, in characters, of the longest run that each text shares with any one item of train."""
    longest = np.zeros(len(texts), np.int64)
    block: list[str] = []
    size = 0
    for place, item in enumerate(train, 1):
        block.append(item)
        size += len(item)
        if size >= BLOCK or place == len(train):
            longest = np.maximum(longest, _copies(texts, block))
            block, size = [], 0
    return longest


def _copies(texts: Sequence[str], train: Sequence[str]) -> NDArray[np.int64]:
    """Sort all suffixes by their first characters: each stands next to the one that shares most with it."""
    points, begins = _joined([*texts, *train])
    most = max(map(len, texts), default=0)
    ranks = _ranks(points, most)
    order = np.argsort(ranks[-1], kind="stable")
    end = int(begins[len(texts)]) if len(train) else len(points)
    places, shared = np.arange(len(order)), np.zeros(len(points), np.int64)
    of_train = order >= end
    before = np.maximum.accumulate(np.where(of_train, places, -1))
    after = np.minimum.accumulate(np.where(of_train, places, len(order))[::-1])[::-1]
    for near in (before, after):
        there = ~of_train & (near >= 0) & (near < len(order))
        a, b = order[there], order[near[there]]
        shared[a] = np.maximum(shared[a], _shared(ranks, a, b))
    limits = begins[: len(texts) + 1]
    return np.array([shared[i:j].max(initial=0) for i, j in pairwise(limits)], np.int64)


def _ranks(points: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    """Return the ranks of the runs of 1, 2, 4, … characters, up to `most`, at each place (Karp et al. 1972)."""
    rank, count, ranks = points, int(points.max(initial=0)) + 1, [points]
    for level in range(max(0, most - 1).bit_length()):
        ahead = np.zeros_like(rank)
        ahead[: len(rank) - (1 << level)] = rank[1 << level :]
        rank, count = rank * count + ahead, count * count
        if count >= 1 << 31:
            values, rank = np.unique(rank, return_inverse=True)
            count = len(values)
        ranks.append(rank)
    return ranks


def _shared(ranks: list[NDArray[np.int64]], a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many first characters the suffixes at a and at b share."""
    found = np.zeros(len(a), np.int64)
    for level, rank in reversed(list(enumerate(ranks))):
        i, j = a + found, b + found
        inside = np.maximum(i, j) < len(rank)
        found += (1 << level) * (inside & (rank[np.where(inside, i, 0)] == rank[np.where(inside, j, 0)]))
    return found


def _joined(texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all texts as numbers, with a unique one after each text, and where each text begins."""
    lengths = np.array([len(text) + 1 for text in texts], np.int64)
    begins = np.concatenate([[0], np.cumsum(lengths)])
    whole = _points("\0".join([*texts, ""])).astype(np.int64)
    whole[begins[1:] - 1] = 0x110000 + np.arange(len(texts))
    return np.unique(whole, return_inverse=True)[1].astype(np.int64), begins


def _points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
