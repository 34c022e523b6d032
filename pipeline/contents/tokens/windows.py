"""Items from documents: consecutive windows, without those that repeat earlier documents, thinned evenly."""

from __future__ import annotations

import hashlib
import re
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Found, Item, LeftOut, Rejected, Usable
from pipeline.contents.names import Names
from pipeline.contents.tokens.files import Document

SIGN, WORD = re.compile(r"\S"), re.compile(r"\S+")
RUN = 5
"""Words in the runs by which repeated text is recognised."""
SEEN_MOST, NEW_LEAST = 0.5, 0.3
"""Largest share of a window's runs that earlier documents contain, and smallest share of a document's that is new."""
TABLE = 1 << 26
"""Slots of the hash table of runs; the few collisions do not matter among the many runs of a window."""


def of_words(text: str, length: int, count: Callable[[str], int]) -> Iterator[str]:
    """Yield windows of as many whole words as fit in `length` tokens, without the white space between windows.

    A word longer than a window is cut between characters. Windows less than half full, as the end of a document mostly
    is, are left out, unless one is the whole document.
    """
    whole = text.strip()
    first = SIGN.search(text)
    while first:
        start = first.start()
        end = _end(text, start, length, count)
        window = text[start:end]
        if count(window) * 2 >= length or window == whole:
            yield window
        first = SIGN.search(text, end)


def reach(text: str, start: int, length: int, count: Callable[[str], int]) -> int:
    """Return a place that the end of a window from `start` on never exceeds, a few times its length away at most."""
    size = length + 1
    while start + size < len(text) and count(text[start : start + size]) <= length:
        size *= 2
    return min(start + 2 * size, len(text))  # a whole word may have fewer tokens than its beginning


def last_fitting(text: str, start: int, ends: list[int], length: int, count: Callable[[str], int]) -> int | None:
    """Return the last of the rising `ends` with text[start:end] of at most `length` tokens, or None."""
    fitting = bisect_right(ends, length, key=lambda end: count(text[start:end]))
    return ends[fitting - 1] if fitting else None


def _end(text: str, start: int, length: int, count: Callable[[str], int]) -> int:
    """Return the end of the window that begins at `start`."""
    limit = reach(text, start, length, count)
    reached = (found.end() for found in WORD.finditer(text, start, limit))
    ends = [end for end in reached if end < limit or limit == len(text)]
    last = last_fitting(text, start, ends, length, count)
    return _cut(text, start, [*ends, limit][0], length, count) if last is None else last


def _cut(text: str, start: int, end: int, length: int, count: Callable[[str], int]) -> int:
    """Return where to cut a word that is longer than a window."""
    at = start + max(1, bisect_right(range(start + 1, end), length, key=lambda each: count(text[start:each])))
    while at > start + 1 and count(text[start:at]) > length:
        at -= 1
    return at


def items(documents: Iterable[Document | Rejected], cut: Callable[[str], Iterable[str]]) -> Iterator[Found]:
    """Cut documents into items, and yield these, what was rejected, and what was left out.

    A document is left out if fewer than 30 % of its runs of five words are new and the others occur in earlier
    documents, as in the second version of a document; a window is, if fewer than half of its runs are new. Both name
    the document that had most of those runs first. Windows that differ only in case, white space and digits have the
    same `like`.
    """
    first = np.zeros(TABLE, np.int32)  # per run, 1 + the number of its first document, or 0
    with Names() as names:
        for document in documents:
            if isinstance(document, Rejected):
                yield document
                continue
            try:
                windows = list(cut(document.text))
            except ValueError as error:
                yield Rejected(document.origin, str(error))
                continue
            yield Usable(document.origin)
            runs = _runs(document.text)
            if (share := _share(first[runs])) > 1 - NEW_LEAST:
                yield _left_out(document.origin, share, names[_most(first[runs]) - 1])
                continue
            for place, window in enumerate(windows):
                origin, known = f"{document.origin}[{place}]", first[_runs(window)]
                if (share := _share(known)) > SEEN_MOST:
                    yield _left_out(origin, share, names[_most(known) - 1])
                else:
                    yield Item(window, origin, document.label, group=document.origin, like=likeness(window))
            first[runs[first[runs] == 0]] = names.add(document.origin) + 1


def thinned(found: Callable[[], Iterator[Found]], most: int) -> Iterator[Found]:
    """Yield `most` items (0: all), evenly spread over a source, and everything else that it yields.

    The source is read twice rather than held in memory.
    """
    total = sum(isinstance(each, Item) for each in found()) if most else 0
    place = 0
    for each in found():
        if not isinstance(each, Item):
            yield each
            continue
        if total <= most or (place + 1) * most // total > place * most // total:
            yield each
        place += 1


def likeness(text: str) -> bytes:
    """Return a digest of a text that ignores case, the amount of white space, and the values of numbers."""
    plain = " ".join(re.sub(r"\d+", "0", text.lower()).split())
    return hashlib.blake2b(plain.encode(), digest_size=16).digest()


def _left_out(origin: str, share: float, of: str) -> LeftOut:
    return LeftOut(origin, of, f"{share:.0%} of its five-word runs are in earlier documents, most of them in that one")


def _share(first: NDArray[np.int32]) -> float:
    return float((first > 0).mean()) if len(first) else 0.0


def _most(first: NDArray[np.int32]) -> int:
    """Return the most frequent number other than 0."""
    numbers, counts = np.unique(first[first > 0], return_counts=True)
    return int(numbers[counts.argmax()])


def _runs(text: str) -> NDArray[np.int64]:
    words = re.findall(r"\w+", re.sub(r"\d+", "0", text.lower()))
    runs = (" ".join(words[i : i + RUN]).encode() for i in range(len(words) - RUN + 1))
    return np.fromiter((zlib.crc32(run) % TABLE for run in runs), np.int64)
