"""Content `text`: prose, cut into windows of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pipeline.contents.base import Rejected
from pipeline.contents.folders import Folder
from pipeline.contents.tokens import files, windows
from pipeline.contents.tokens.content import TokenContent


class TextContent(TokenContent):
    """Windows of as many whole words as fit in `length` tokens; a raw item is a str."""

    name = "text"
    suffix = ".txt"

    def __init__(
        self,
        length: int,
        vocabulary: Literal["bytes", "bpe"],
        vocabulary_size: int,
        field: str,
        most: int,
        alphabet: Sequence[int] | None = None,
        tokenizer: str | None = None,
    ) -> None:
        """Set the window, the field of JSON lines that holds the text, and the maximum number of items (0: all)."""
        super().__init__(length, vocabulary, vocabulary_size, most, alphabet, tokenizer)
        self.field = field

    def documents(self, source: Folder) -> Iterator[files.Document | Rejected]:
        """Yield the documents of text files and JSON lines."""
        return files.prose(source, self.field)

    def cut(self, text: str) -> Iterator[str]:
        """Yield windows of whole words."""
        return windows.of_words(text, self.length, lambda part: len(self.vocabulary.tokens(part)))

    def visible(self, raw: str) -> str:
        """Return a text on one line, with "↵" for each line end."""
        return raw.replace("\n", "↵")
