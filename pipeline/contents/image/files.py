"""Folders of image files, read by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.contents import folders
from pipeline.contents.base import Item, Rejected
from pipeline.contents.folders import Folder, UnusableError, too_large
from pipeline.contents.image import ranges
from pipeline.contents.image.ranges import Range

DEPTH = {"I": 4, "F": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes per pixel in modes with more than one byte per band."""


def read(source: Folder, channels: Literal[1, 3], value_range: Range | None = None) -> Iterator[Item | Rejected]:
    """Yield every file below a folder as an image; its class is the name of its first subfolder."""
    read_one = partial(decode, channels=channels, max_bytes=source.max_bytes, value_range=value_range)
    for found in folders.decoded(source, read_one):
        if isinstance(found, Rejected):
            yield found
        else:
            path, raw = found
            yield Item(raw, source.origin(path), source.label(path))


def decode(path: Path, channels: Literal[1, 3], max_bytes: int, value_range: Range | None = None) -> NDArray[np.uint8]:
    """Decode the first image of a file, upright, on white, to (height, width, channels) uint8.

    `value_range` applies to files whose pixels have more than eight bits and that state no range.

    Raises:
        UnusableError: it unpacks to more than `max_bytes`, or Pillow would misread its values.
        Exception: Pillow finds the file truncated, not an image, or too large.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as file:
            size = file.width * file.height * DEPTH.get(file.mode, len(file.getbands()))
            if reason := too_large("unpacks to", size, max_bytes):
                raise UnusableError(reason)
            span, narrowed = ranges.stated(file) or value_range, ranges.narrowed(file)
            ImageOps.exif_transpose(file, in_place=True)
            if narrowed:
                ranges.hold_narrowed(file, span)
            return _pixels(file, "L" if channels == 1 else "RGB", span)


def _pixels(image: Image.Image, mode: Literal["L", "RGB"], span: Range | None) -> NDArray[np.uint8]:
    if ranges.is_wide(image.mode):
        image = Image.fromarray(ranges.eight_bits(image, span))
    if image.mode == "La":  # converts to no other mode
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if image.mode != mode:  # converting to the same mode would copy it
        image = image.convert(mode)
    return np.atleast_3d(np.asarray(image, dtype=np.uint8))
