"""The seam between data and models: what a content says of its items, and nothing of who models them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

Raw: TypeAlias = NDArray[Any]
"""One raw item, as a person would get it; an image is (height, width, channels) uint8."""

Raws: TypeAlias = Sequence[Raw] | NDArray[Any]
"""Raw items: a list of them, or one array where they have one shape."""


@dataclass(frozen=True)
class DataSpec:
    """What the arrays of a data set look like: the hinge between contents and families.

    An item is an integer array of `shape`, with values in [0, levels); `layout` says which axes are neighbours:
    "grid" is (channels, height, width), "sequence" is (channels, length).
    """

    shape: tuple[int, ...]
    layout: Literal["grid", "sequence"]
    levels: int = 256

    @property
    def bin_width(self) -> float:
        """Distance of two neighbouring values once they are scaled to [-1, 1]."""
        return 2 / (self.levels - 1)

    def scale(self, array: Tensor) -> Tensor:
        """Return stored integers as float32 in [-1, 1], on the device that they are on."""
        return array.float().mul_(self.bin_width).sub_(1)

    def quantise(self, x: Tensor) -> NDArray[np.uint8]:
        """Return values in [-1, 1] as the nearest stored integers; values outside are clipped."""
        levels = x.detach().float().add(1).div_(self.bin_width).round_().clamp_(0, self.levels - 1)
        stored: NDArray[np.uint8] = levels.byte().cpu().numpy()
        return stored


@dataclass(frozen=True)
class Item:
    """A raw item, where it came from, its class if it has one, and its split if the source fixes it."""

    raw: Raw
    origin: str
    label: str | None = None
    split: Literal["train", "test"] | None = None


@dataclass(frozen=True)
class Rejected:
    """A file that gave no item, and why."""

    origin: str
    reason: str


class Content(Protocol):
    """A kind of data: how it is read, encoded, decoded, shown, serialised, and compared item by item.

    Attributes:
        formats: names of those that raw items are serialised in, the default first.
    """

    name: str
    spec: DataSpec
    formats: tuple[str, ...]

    def read(self, source: Path) -> Iterator[Item | Rejected]:
        """Yield what lies in a source, in any order."""
        ...

    def encode(self, raw: Raw) -> NDArray[np.uint8]:
        """Return a raw item as an array of `spec.shape`."""
        ...

    def decode(self, arrays: NDArray[np.uint8]) -> Raws:
        """Return encoded items (n, *spec.shape) as raw items, exactly as a person gets them."""
        ...

    def reconstruction_scores(self, raws: Raws, raws_hat: Raws) -> dict[str, NDArray[np.float64]]:
        """Return how far, or how near, each raw item is to its reconstruction, (n,) by name.

        `reconstruction_loss` is among them, the lower the better.
        """
        ...

    def show(self, raws: Raws, columns: int, captions: Iterable[str] = ()) -> Image:
        """Return a picture of raw items, row by row, for a person to look at."""
        ...

    def serialise(self, raws: Raws, form: str) -> NDArray[Any] | list[str]:
        """Return raw items in one of `formats`: an array, or a text for each, as JSON can hold them."""
        ...
