"""The base class of contents made of tokens; a raw item is a str."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from pipeline.contents.base import DataSpec, Found, Raw, Raws, Rejected, Stored
from pipeline.contents.folders import Folder
from pipeline.contents.tokens import pages, strings, windows
from pipeline.contents.tokens.files import Document
from pipeline.contents.tokens.vocabulary import ALL_BYTES, Bpe, Bytes, Vocabulary, learn_bpe, learn_bytes
from pipeline.system.errors import SourceError


class TokenContent(ABC):
    """Windows of documents, of up to `length` tokens."""

    formats: tuple[str, ...] = ("text",)
    distance: Literal["fid", "frechet"] = "frechet"
    unit: Literal["dim", "byte"] = "byte"

    def __init__(
        self,
        length: int,
        vocabulary: Literal["bytes", "bpe"],
        vocabulary_size: int,
        most: int,
        alphabet: Sequence[int] | None,
        tokenizer: str | None,
    ) -> None:
        """Set the window in tokens, the kind and maximum size of the vocabulary, and the maximum number of items.

        `vocabulary_size` applies to "bpe" only, and `most` of 0 means all items. `alphabet` or `tokenizer` is what was
        learnt; until then all bytes are tokens.

        Raises:
            ValueError: what was learnt is not a vocabulary, or one of another kind or size.
        """
        self.length, self.vocabulary_size, self.most = length, vocabulary_size, most
        self.pairs = vocabulary == "bpe"
        if (alphabet if self.pairs else tokenizer) is not None:
            raise ValueError(f"vocabulary is {vocabulary}, which has no {'alphabet' if self.pairs else 'tokenizer'}")
        self.vocabulary: Vocabulary = Bytes(alphabet or ALL_BYTES) if tokenizer is None else Bpe(tokenizer)
        if self.pairs and self.vocabulary.size > vocabulary_size:
            raise ValueError(f"tokenizer has {self.vocabulary.size} tokens, but vocabulary_size is {vocabulary_size}")
        self.spec = DataSpec((length,), "sequence", vocab_size=self.vocabulary.size)

    @abstractmethod
    def documents(self, source: Folder) -> Iterator[Document | Rejected]:
        """Yield the documents of a source."""

    @abstractmethod
    def cut(self, text: str) -> Iterator[str]:
        """Yield the windows of a document.

        Raises:
            ValueError: the document cannot be cut; the message states why.
        """

    def learn(self, source: Folder) -> Mapping[str, Any]:
        """Return the bytes that occur in the documents, or the tokenizer learnt from them.

        Raises:
            SourceError: there is no such folder.
        """
        _check(source)
        texts = (each.text for each in self.documents(source) if isinstance(each, Document))
        return {"tokenizer": learn_bpe(texts, self.vocabulary_size)} if self.pairs else {"alphabet": learn_bytes(texts)}

    def read(self, source: Folder) -> Iterator[Found]:
        """Yield the windows of the documents of a source, grouped by document.

        Raises:
            SourceError: there is no such folder.
        """
        _check(source)
        return windows.thinned(lambda: windows.items(self.documents(source), self.cut), self.most)

    def encode(self, raw: Raw) -> Stored:
        """Return the tokens of a text, cut to `length` or padded with 0 at the end."""
        tokens = self.vocabulary.tokens(raw)[: self.length]
        return np.pad(tokens, (0, self.length - len(tokens))).astype(self.spec.dtype)

    def decode(self, arrays: Stored) -> Raws:
        """Return texts; bytes that are not UTF-8, which a model may generate, become U+FFFD, and padding is dropped."""
        return [self.vocabulary.data(tokens).decode(errors="replace") for tokens in arrays]

    def units(self, arrays: Stored) -> NDArray[np.float64]:
        """Return the number of bytes of each item, without padding."""
        bytes_of = self.vocabulary.lengths().astype(np.float64)
        found: NDArray[np.float64] = bytes_of[arrays].sum(axis=1)
        return found

    def reconstruction_scores(self, raws: Raws, raws_hat: Raws) -> dict[str, NDArray[np.float64]]:
        """Return the share of tokens that differ, and 1 - edits of characters over the longer length, of each item.

        Positions that are padding in both do not count.
        """
        a, b = (np.stack([self.encode(raw) for raw in each]) for each in (raws, raws_hat))
        count = ((a != 0) | (b != 0)).sum(axis=1)
        return {
            "reconstruction_loss": (a != b).sum(axis=1) / np.maximum(count, 1),
            "edit_similarity": strings.edit_similarity(list(raws), list(raws_hat)),
        }

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return shares of distinct runs of 1, 2 and 3 words (), and characters of the longest copy from train (n,)."""
        texts = list(raws)
        found = {f"distinct_{n}": np.asarray(strings.distinct(texts, n)) for n in (1, 2, 3)}
        return found | {"longest_copy": strings.longest_copies(texts, list(train())).astype(np.float64)}

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return histograms of runs of four characters."""
        return {"gram": strings.grams(list(raws))}

    def show(self, raws: Raws, columns: int, captions: Iterable[str] = ()) -> Image:
        """Return a page of texts in at most four columns, with captions where given."""
        return pages.picture([self.visible(raw) for raw in raws], columns, list(captions))

    def html(self, raws: Raws, raws_hat: Raws | None = None) -> str:
        """Return each text as a block, or beside its reconstruction, with differences marked."""
        if raws_hat is not None:
            return pages.compared(list(raws), list(raws_hat))
        return pages.blocks([self.marked_up(raw) for raw in raws])

    def visible(self, raw: str) -> str:
        """Return a text as a picture shows it."""
        return raw

    def marked_up(self, raw: str) -> str:
        """Return a text as HTML."""
        return pages.escaped(raw)

    def save(self, raw: Raw, path: Path) -> None:
        """Write the text as UTF-8, with Unix line ends."""
        path.write_bytes(raw.encode(errors="replace"))

    def serialise(self, raws: Raws, form: str) -> NDArray[Any] | list[str]:
        """Return the texts."""
        return list(raws)


def _check(source: Folder) -> None:
    if not source.path.is_dir():
        raise SourceError(
            f"{source.path} is not a folder; put documents there, or set prepare.source to a folder of them"
        )
