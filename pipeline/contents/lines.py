"""Windows of source in any language: whole lines, as they stand."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from pipeline.contents.statements import FEWEST
from pipeline.contents.windows import of_words

SIGN, BREAK = re.compile(r"\S"), re.compile(r"\n")


def of_lines(text: str, length: int, count: Callable[[str], int]) -> Iterator[str]:
    """Yield windows of as many whole lines as fit in `length` tokens; blank lines between windows belong to none.

    A line that is longer than a window is cut as words are. Windows that fill less than a quarter are left out.
    """
    end = 0
    while first := SIGN.search(text, end):
        start = text.rfind("\n", end, first.start()) + 1
        end = _end(text, start, length, count)
        if end > start:
            window = text[start:end].rstrip()
            if count(window) >= FEWEST * length:
                yield window
        else:
            end = _line_end(text, start)
            yield from of_words(text[start:end], length, count)


def _end(text: str, start: int, length: int, count: Callable[[str], int]) -> int:
    """Return where the last line ends that fits in a window that begins at a place, or that place.

    No more is looked at than some windows' worth, however long the text is.
    """
    reach = length + 1
    while start + reach < len(text) and count(text[start : start + reach]) <= length:
        reach *= 2
    limit = min(start + 2 * reach, len(text))
    ends = [found.start() for found in BREAK.finditer(text, start, limit)]
    if limit == len(text):
        ends.append(limit)
    fitting = bisect_right(ends, length, key=lambda end: count(text[start:end]))
    return ends[fitting - 1] if fitting else start


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
