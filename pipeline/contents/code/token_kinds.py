"""Kinds of tokens in Python source, and how much of a source parses."""

from __future__ import annotations

import io
import keyword
import token
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.contents.code.statements import parsed

ERROR = "ERROR"
"""The kind of tokens that Python's tokenizer does not know, and of the place where it fails."""
KINDS = [ERROR, *sorted(token.EXACT_TOKEN_TYPES), *keyword.kwlist, *token.tok_name.values()]
COLUMN = {kind: column for column, kind in enumerate(dict.fromkeys(KINDS))}


def parses(source: str) -> bool:
    """Return whether a source parses and has at least one statement."""
    tree = parsed(source)
    return tree is not None and bool(tree.body)


def parsing_prefix(source: str) -> float:
    """Return the share of a source's lines in the longest prefix of whole lines that parses."""
    lines = source.removesuffix("\n").split("\n")
    sizes = range(len(lines), 0, -1)
    return next((size / len(lines) for size in sizes if parses("\n".join(lines[:size]))), 0.0)


def kinds(sources: Sequence[str]) -> Any:
    """Count the kinds of tokens of each source: a `csr_array` (n, kinds).

    Each keyword and operator is a kind of its own; names, numbers, strings and comments are one kind each.
    """
    from scipy.sparse import csr_array

    found = [(row, COLUMN.get(kind, COLUMN[ERROR])) for row, source in enumerate(sources) for kind in _kinds(source)]
    rows, columns = np.array(found, np.int64).reshape(-1, 2).T
    return csr_array((np.ones(len(found)), (rows, columns)), shape=(len(sources), len(COLUMN)))


def _kinds(source: str) -> Iterator[str]:
    """Yield the kinds of a source's tokens, ending with ERROR where the tokenizer fails."""
    try:
        for each in tokenize.generate_tokens(io.StringIO(source).readline):
            if each.type == token.OP or (each.type == token.NAME and keyword.iskeyword(each.string)):
                yield each.string
            elif each.type == token.ERRORTOKEN:
                yield ERROR
            elif each.type != token.ENDMARKER:
                yield token.tok_name[each.type]
    except (tokenize.TokenError, SyntaxError, ValueError):
        yield ERROR
