"""The seam between data and models: what a content says of its items, and nothing of who models them."""

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
"""One raw item, as a person would get it: an array, such as an image (height, width, channels) uint8, or a text."""

Raws: TypeAlias = Sequence[Any] | NDArray[Any]
"""Raw items: a list of them, or one array where they have one shape."""

Stored: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""Encoded items as they lie in data/prepared, (n, *spec.shape) of `spec.dtype`."""


@dataclass(frozen=True)
class DataSpec:
    """What the arrays of a dataset look like: the hinge between contents and families.

    An item is an array of `shape`; `layout` says which axes are neighbours: "grid" is (channels, height, width),
    "sequence" is (channels, length). Its values are numbers in [0, levels); or, where there is a vocabulary, tokens in
    [0, vocab_size), which have no order, and then its shape is (length,). Families see numbers scaled to [-1, 1], and
    tokens as points of the simplex, one-hot where they are data: `x_shape` is the shape of an item as they see it.
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
        """Channels first: `shape`, or (vocab_size, length) of tokens."""
        return (self.vocab_size, *self.shape) if self.vocab_size else self.shape

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """The smallest type that holds the stored values."""
        return np.dtype(np.uint8 if max(self.levels, self.vocab_size) <= 256 else np.uint16)

    @property
    def bin_width(self) -> float:
        """Distance of two neighbouring values once they are scaled to [-1, 1]."""
        return 2 / (self.levels - 1)

    def scale(self, array: Tensor) -> Tensor:
        """Return stored items as families see them, float32 (n, *x_shape), on the device that they are on."""
        if not self.vocab_size:
            return array.float().mul_(self.bin_width).sub_(1)
        return one_hot(array.long(), self.vocab_size)

    def squash(self, h: Tensor) -> Tensor:
        """Return unbounded values (n, *x_shape) in the range that families see: (-1, 1), or the simplex of tokens."""
        return h.float().softmax(1) if self.vocab_size else h.float().tanh()

    def quantise(self, x: Tensor) -> Stored:
        """Return values as families see them as the nearest stored ones, or as the likeliest tokens."""
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
        group: what it is a part of, as a window is of a document; the parts of one thing never go to different splits.
        like: what it shares with items that are so like it that one of them is enough; None: its encoded bytes.
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
    """What is not needed beside something that came before it, and why: `of` is what it repeats or resembles."""

    origin: str
    of: str
    reason: str


@dataclass(frozen=True)
class Usable:
    """A file that is not rejected, which an item of it says as well.

    A file is one of a folder, or one of the documents or pictures that such a file holds: a line of JSON lines.
    """

    origin: str


Found: TypeAlias = Item | Rejected | LeftOut | Usable
"""What is found in a source."""


class Content(Protocol):
    """A kind of data: how it is read, encoded, decoded, shown, serialised, and compared item by item.

    Attributes:
        formats: names of those that raw items are serialised in, the default first.
        suffix: ending of the file that one raw item is saved in.
        distance: the beginning of the names of Frechet distances: "fid" is customary for images.
        unit: what a likelihood is told a piece of: "dim" or "byte".
    """

    name: str
    spec: DataSpec
    formats: tuple[str, ...]
    suffix: str
    distance: Literal["fid", "frechet"]
    unit: Literal["dim", "byte"]

    def learn(self, source: Folder) -> Mapping[str, Any]:
        """Return what has to be known of a source before it is encoded, in plain values; most contents need nothing.

        It is kept with the data and with the model, and the content is built with it as further arguments.
        """
        ...

    def read(self, source: Folder) -> Iterator[Found]:
        """Yield what lies in a source, in any order, but all of a file together."""
        ...

    def encode(self, raw: Raw) -> Stored:
        """Return a raw item as an array of `spec.shape`."""
        ...

    def decode(self, arrays: Stored) -> Raws:
        """Return encoded items (n, *spec.shape) as raw items, exactly as a person gets them."""
        ...

    def units(self, arrays: Stored) -> NDArray[np.float64]:
        """Return how many units each encoded item has, (n,)."""
        ...

    def reconstruction_scores(self, raws: Raws, raws_hat: Raws) -> dict[str, NDArray[np.float64]]:
        """Return how far, or how near, each raw item is to its reconstruction, (n,) by name.

        `reconstruction_loss` is among them, the lower the better.
        """
        ...

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return what only this content can say of raw items, given those of train: (n,) by name, or () of all."""
        ...

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return of what each raw item has how much, by name: sparse counts (n, bins), a SciPy `csr_array`.

        Samples and test are compared by them, each as `<name>_distance`.
        """
        ...

    def show(self, raws: Raws, columns: int, captions: Iterable[str] = ()) -> Image:
        """Return a picture of raw items, row by row, for a person to look at."""
        ...

    def html(self, raws: Raws, raws_hat: Raws | None = None) -> str:
        """Return raw items as a person reads or hears them, as a part of a page; "" where a picture says it all.

        With reconstructions, each item stands beside its own, and what differs is marked.
        """
        ...

    def save(self, raw: Raw, path: Path) -> None:
        """Write one raw item into a file, whose ending is `suffix`."""
        ...

    def serialise(self, raws: Raws, form: str) -> NDArray[Any] | list[str]:
        """Return raw items in one of `formats`: an array, or a text for each, as JSON can hold them."""
        ...
