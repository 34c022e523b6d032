"""Windows of source code in any language: whole lines, unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from pipeline.contents.code.statements import FEWEST
from pipeline.contents.tokens.windows import SIGN, last_fitting, of_words, reach

BREAK = re.compile(r"\n")


def of_lines(text: str, length: int, count: Callable[[str], int]) -> Iterator[str]:
    """Yield windows of as many whole lines as fit in `length` tokens, without the blank lines between windows.

    A line longer than a window is cut by `of_words`. Windows that fill less than a quarter are left out.
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
    """Return where the last line ends that fits in a window from `start`, or `start` if none fits."""
    limit = reach(text, start, length, count)
    ends = [found.start() for found in BREAK.finditer(text, start, limit)]
    if limit == len(text):
        ends.append(limit)
    last = last_fitting(text, start, ends, length, count)
    return start if last is None else last


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
