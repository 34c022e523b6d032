"""Windows of Python source: whole logical lines that parse by themselves."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator

FEWEST = 0.25
"""Smallest share of a window that is filled, so that items are more than a `pass`."""


def parsed(source: str) -> ast.Module | None:
    """Return the syntax tree of a source, or None if this version of Python cannot parse it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def of_statements(source: str, length: int, count: Callable[[str], int]) -> Iterator[str]:
    """Yield windows of as many whole logical lines as fit in `length` tokens and parse by themselves.

    A window begins at a statement or at the comment above it, is dedented to that line, and ends before a line that is
    indented less. Statements that fit in no window, windows of comments alone, and windows that fill less than a
    quarter are left out.

    Raises:
        ValueError: the source does not parse.
    """
    lines = _logical_lines(source)
    place = 0
    while place < len(lines):
        size, window = _longest(lines[place : place + length], length, count)
        if size and count(window) >= FEWEST * length:
            yield window
        place += max(size, 1)


def _longest(lines: list[str], length: int, count: Callable[[str], int]) -> tuple[int, str]:
    """Return the number of lines of the longest window that begins with the first line, and the window."""
    if not lines[0].strip():
        return 0, ""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip(" \t"))]
    within = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith(indent)), len(lines))

    def window(size: int) -> str:
        physical = "".join(lines[:size]).split("\n")
        return "\n".join(line.removeprefix(indent) for line in physical).strip("\n\f")

    fitting = 0
    while fitting < within and count(window(fitting + 1)) <= length:
        fitting += 1
    for size in range(fitting, 0, -1):
        last = lines[size - 1].strip()
        if not last or last.startswith("#"):
            continue
        tree = parsed(window(size))
        if tree is not None and tree.body:
            return size, window(size)
    return 0, ""


def _logical_lines(source: str) -> list[str]:
    """Split a source into lines, with the lines of each statement or header (`def`, `if`, …) joined."""
    tree = parsed(source)
    if tree is None:
        raise ValueError("this version of Python cannot parse it")
    physical = source.split("\n")
    joined = [False] * (len(physical) + 2)
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt | ast.ExceptHandler):
            body = getattr(node, "body", None)
            end = _begin(body[0]) - 1 if body else node.end_lineno or node.lineno
            for line in range(_begin(node) + 1, end + 1):
                joined[line] = True
    lines: list[list[str]] = []
    for text, continues in zip(physical, joined[1:], strict=False):
        if continues and lines:
            lines[-1].append(f"{text}\n")
        else:
            lines.append([f"{text}\n"])
    return ["".join(parts) for parts in lines]


def _begin(node: ast.AST) -> int:
    """Return the line on which a statement or its first decorator begins."""
    decorators = getattr(node, "decorator_list", [])
    return int(min([getattr(node, "lineno", 1), *(each.lineno for each in decorators)]))
