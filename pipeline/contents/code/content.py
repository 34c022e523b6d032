"""Content `code`: source code, cut into windows of tokens; Python is parsed, other languages are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.contents.base import Raws, Rejected
from pipeline.contents.code import lines, statements, token_kinds
from pipeline.contents.folders import Folder
from pipeline.contents.tokens import files, pages
from pipeline.contents.tokens.content import TokenContent
from pipeline.system.errors import SourceError

PYTHON = frozenset({".py", ".pyi", ".pyw"})
"""Suffixes, in lower case, of the files that are read as Python."""


class CodeContent(TokenContent):
    """Windows of as many whole lines as fit in `length` tokens; of Python, logical lines that parse by themselves.

    Python alone also has the scores, histograms and highlighting that need its parser. A raw item is a str.
    """

    name = "code"

    def __init__(
        self,
        length: int,
        vocabulary: Literal["bytes", "bpe"],
        vocabulary_size: int,
        suffix: str,
        most: int,
        alphabet: Sequence[int] | None = None,
        tokenizer: str | None = None,
    ) -> None:
        """Set the window, the suffix of source files, and the maximum number of items (0: all)."""
        super().__init__(length, vocabulary, vocabulary_size, most, alphabet, tokenizer)
        self.suffix = suffix
        self.is_python = suffix.lower() in PYTHON

    def documents(self, source: Folder) -> Iterator[files.Document | Rejected]:
        """Yield source files.

        Raises:
            SourceError: there are none.
        """
        found = False
        for document in files.sources(source, self.suffix):
            found = True
            yield document
        if not found:
            raise SourceError(
                f"{source.path} has no non-empty files whose names end in {self.suffix}; set code.suffix to the suffix "
                "of its source files (upper and lower case differ)"
            )

    def cut(self, text: str) -> Iterator[str]:
        """Yield windows of whole lines."""
        windows = statements.of_statements if self.is_python else lines.of_lines
        return windows(text, self.length, lambda part: len(self.vocabulary.tokens(part)))

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return the scores of texts and, for Python, whether each item parses to a statement and what share of it.

        The share is that of the lines in the longest prefix of whole lines that parses.
        """
        found = super().scores(raws, train)
        if not self.is_python:
            return found
        prefixes = np.array([token_kinds.parsing_prefix(raw) for raw in raws])
        parses = np.array([float(token_kinds.parses(raw)) for raw in raws])
        return found | {"parses": parses, "parsing_prefix": prefixes}

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return histograms of runs of four characters and, for Python, of kinds of tokens."""
        found = super().histograms(raws)
        return found | {"kind": token_kinds.kinds(list(raws))} if self.is_python else found

    def marked_up(self, raw: str) -> str:
        """Return a source as HTML, with syntax highlighting for Python."""
        return pages.highlighted(raw) if self.is_python else super().marked_up(raw)
