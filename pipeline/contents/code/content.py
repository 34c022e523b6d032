"""Content `code`: windows of source, as tokens: of Python, which is parsed, or of any other language, which is not."""

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
"""Endings, in small letters, of the files that are read as Python."""


class CodeContent(TokenContent):
    """Whole lines of source files, as many as fit in `length` tokens; of Python logical ones that parse by themselves.

    What only Python's parser can say is said of Python alone: which windows, scores, histograms and colours there are.
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
        """Set what a window is, the ending of source files, and items at most (0: all)."""
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
                f"{source.path} has no files whose names end in {self.suffix} and that hold anything; set code.suffix "
                "to the ending of its sources, as they are written there"
            )

    def cut(self, text: str) -> Iterator[str]:
        """Yield windows of whole lines."""
        windows = statements.of_statements if self.is_python else lines.of_lines
        return windows(text, self.length, lambda part: len(self.vocabulary.tokens(part)))

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return what texts have, and of Python whether each item parses to a statement, and what share of it does.

        That is the share of its lines that the longest run of its first ones has that parses.
        """
        found = super().scores(raws, train)
        if not self.is_python:
            return found
        prefixes = np.array([token_kinds.parsing_prefix(raw) for raw in raws])
        parses = np.array([float(token_kinds.parses(raw)) for raw in raws])
        return found | {"parses": parses, "parsing_prefix": prefixes}

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return runs of four characters, and of Python kinds of tokens."""
        found = super().histograms(raws)
        return found | {"kind": token_kinds.kinds(list(raws))} if self.is_python else found

    def marked_up(self, raw: str) -> str:
        """Return a source as HTML, Python in colours."""
        return pages.highlighted(raw) if self.is_python else super().marked_up(raw)
