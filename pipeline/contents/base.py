"""The interface between data and models: what a content provides for its items, whichever family models them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from pipeline.contents.folders import Folder

Raw: TypeAlias = Any
"""One raw item, as a user gets it: an array, such as an image (height, width, channels) uint8, or a text."""

Raws: TypeAlias = Sequence[Any] | NDArray[Any]
"""Raw items: a list, or one array where all have the same shape."""

Stored: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Encoded items as stored in data/prepared, (n, *spec.shape) of `spec.dtype`."""


UNLABELLED = -1
"""Label of an item without a class, and of a sample of any class."""


@dataclass(frozen=True)
class DataSpec:
    """The layout of a dataset's arrays, which contents define and families read.

    An item is an array of `shape`, whose axes `layout` names: "grid" is (channels, height, width), "sequence" is
    (channels, length). Its values are numbers in [0, levels). With a vocabulary they are tokens in [0, vocab_size),
    which have no order, and the shape is (length,). Families see numbers scaled to [-1, 1], and tokens as points of
    the simplex, one-hot for data: `x_shape` is the shape of an item as families see it.
    """

    shape: tuple[int, ...]
    layout: Literal["grid", "sequence"]
    levels: int = 256
    vocab_size: int = 0

    @property
    def kind(self) -> Literal["numbers", "tokens"]:
        """What the values are."""
        return "tokens" if self.vocab_size else "numbers"

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of an item as families see it, channels first: `shape`, or (vocab_size, length) for tokens."""
        return (self.vocab_size, *self.shape) if self.vocab_size else self.shape

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest type that holds the stored values."""
        return np.dtype(np.uint8 if max(self.levels, self.vocab_size) <= 256 else np.uint16)

    @property
    def bin_width(self) -> float:
        """Distance between two neighbouring values after scaling to [-1, 1]."""
        return 2 / (self.levels - 1)

    def scale(self, array: Tensor) -> Tensor:
        """Return stored items as families see them, float32 (n, *x_shape), on the same device."""
        if not self.vocab_size:
            return array.float().mul_(self.bin_width).sub_(1)
        return one_hot(array.long(), self.vocab_size)

    def squash(self, h: Tensor) -> Tensor:
        """Map unbounded values (n, *x_shape) to the range that families see: (-1, 1), or the simplex of tokens."""
        return h.float().softmax(1) if self.vocab_size else h.float().tanh()

    def quantise(self, x: Tensor) -> Stored:
        """Round values, as families see them, to the nearest stored ones or to the likeliest tokens."""
        x = x.detach().float()
        if self.vocab_size:
            found: Stored = x.argmax(1).cpu().numpy().astype(self.dtype)
            return found
        levels = x.add(1).div_(self.bin_width).round_().clamp_(0, self.levels - 1)
        stored: Stored = levels.cpu().numpy().astype(self.dtype)
        return stored


def one_hot(tokens: Tensor, vocab_size: int) -> Tensor:
    """Return tokens (n, length) as corners of the simplex, float32 (n, vocab_size, length)."""
    import torch

    corners = torch.zeros(len(tokens), vocab_size, *tokens.shape[1:], device=tokens.device)
    return corners.scatter_(1, tokens[:, None], 1.0)


@dataclass(frozen=True)
class Item:
    """A raw item and where it came from.

    Attributes:
        label: its class, if it has one.
        split: its split, if the source fixes it.
        group: what it is a part of, such as the document of a window; all items of a group go to the same split.
        like: a key that near-duplicates share, one of which is kept; None: the encoded bytes are the key.
    """

    raw: Raw
    origin: str
    label: str | None = None
    split: Literal["train", "test"] | None = None
    group: str | None = None
    like: bytes | None = None


@dataclass(frozen=True)
class Rejected:
    """A file that gave no item, and why."""

    origin: str
    reason: str


@dataclass(frozen=True)
class LeftOut:
    """An item or document that duplicates an earlier one, and why: `of` is what it repeats or resembles."""

    origin: str
    of: str
    reason: str


@dataclass(frozen=True)
class Usable:
    """A file that is not rejected, though it may give no item; an `Item` of the file implies it.

    A document or picture within a file, such as a line of JSON lines, counts as a file of its own.
    """

    origin: str


Found: TypeAlias = Item | Rejected | LeftOut | Usable
"""Anything that reading a source yields."""


class Content(Protocol):
    """A kind of data: how it is read, encoded, decoded, shown, serialised, and compared item by item.

    Attributes:
        formats: names of the formats that raw items are serialised in, the default first.
        suffix: suffix of the file that one raw item is saved in.
        distance: prefix of the names of Frechet distances; "fid" is customary for images.
        unit: unit that likelihoods are given per, "dim" or "byte".
    """

    name: str
    spec: DataSpec
    formats: tuple[str, ...]
    suffix: str
    distance: Literal["fid", "frechet"]
    unit: Literal["dim", "byte"]

    def learn(self, source: Folder) -> Mapping[str, Any]:
        """Return what encoding needs to know of a source, as plain values; {} for contents that need nothing.

        It is stored with the data and with the model, and passed to the content as further arguments.
        """
        ...

    def read(self, source: Folder) -> Iterator[Found]:
        """Yield what a source holds, in any order, but everything of one file consecutively."""
        ...

    def encode(self, raw: Raw) -> Stored:
        """Encode a raw item as an array of `spec.shape`."""
        ...

    def decode(self, arrays: Stored) -> Raws:
        """Decode items (n, *spec.shape) to raw items, exactly as a user gets them."""
        ...

    def units(self, arrays: Stored) -> NDArray[np.float64]:
        """Return the number of units of each encoded item, (n,)."""
        ...

    def reconstruction_scores(self, raws: Raws, raws_hat: Raws) -> dict[str, NDArray[np.float64]]:
        """Return distances and similarities of raw items to their reconstructions, each (n,), by name.

        `reconstruction_loss` is one of them; lower is better.
        """
        ...

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return metrics of this content alone by name, (n,) or () over all items; `train` gives the raws of train."""
        ...

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return histograms of raw items by name, each of sparse counts (n, bins): a SciPy `csr_array`.

        Each compares samples with test, as the metric `<name>_distance`.
        """
        ...

    def show(self, raws: Raws, columns: int, captions: Iterable[str] = ()) -> Image:
        """Return a picture of raw items, row by row."""
        ...

    def html(self, raws: Raws, raws_hat: Raws | None = None) -> str:
        """Return raw items as an HTML fragment to read or to listen to; "" where the picture is enough.

        With reconstructions, each item stands beside its own, and differences are marked.
        """
        ...

    def save(self, raw: Raw, path: Path) -> None:
        """Write one raw item to a file that ends in `suffix`."""
        ...

    def serialise(self, raws: Raws, form: str) -> NDArray[Any] | list[str]:
        """Return raw items in one of `formats`, ready for JSON: an array, or one string per item."""
        ...
