"""Content `code`: windows of Python source, as tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.contents import code_kinds, statements, text_files, text_pages
from pipeline.contents.base import Raws, Rejected
from pipeline.contents.folders import Folder
from pipeline.contents.tokens import TokenContent


class CodeContent(TokenContent):
    """Whole logical lines of source files, as many as fit in `length` tokens, that parse by themselves."""

    name = "code"
    suffix = ".py"

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
        self.ending = suffix

    def documents(self, source: Folder) -> Iterator[text_files.Document | Rejected]:
        """Yield source files."""
        return text_files.sources(source, self.ending)

    def cut(self, text: str) -> Iterator[str]:
        """Yield windows of whole logical lines."""
        return statements.of_statements(text, self.length, lambda part: len(self.vocabulary.tokens(part)))

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return what texts have, whether each item parses to a statement, and the share of its first lines that do."""
        prefixes = np.array([code_kinds.parsing_prefix(raw) for raw in raws])
        parses = np.array([float(code_kinds.parses(raw)) for raw in raws])
        return super().scores(raws, train) | {"parses": parses, "parsing_prefix": prefixes}

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return runs of four characters, and kinds of Python's tokens."""
        return super().histograms(raws) | {"kind": code_kinds.kinds(list(raws))}

    def marked_up(self, raw: str) -> str:
        """Return a source in colours."""
        return text_pages.highlighted(raw)
