"""Any folder of image files, read by Pillow."""

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

DEPTH = {"I": 4, "F": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
"""Bytes of a pixel in modes whose bands have more than one."""


def read(source: Folder, channels: Literal[1, 3]) -> Iterator[Item | Rejected]:
    """Yield every file below a folder as an image; its class is the name of the first subfolder that it is in."""
    for found in folders.decoded(source, partial(decode, channels=channels, max_bytes=source.max_bytes)):
        if isinstance(found, Rejected):
            yield found
        else:
            path, raw = found
            yield Item(raw, source.origin(path), source.label(path))


def decode(path: Path, channels: Literal[1, 3], max_bytes: int) -> NDArray[np.uint8]:
    """Return the (first) image of a file, upright, on white, as (height, width, channels) uint8.

    Raises:
        Exception: whatever Pillow raises of a file that is not whole, not an image, or too large to be one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as file:
            size = file.width * file.height * DEPTH.get(file.mode, len(file.getbands()))
            if said := too_large("unpacks to", size, max_bytes):
                raise UnusableError(said)
            ImageOps.exif_transpose(file, in_place=True)
            return _pixels(file, "L" if channels == 1 else "RGB")


def _pixels(image: Image.Image, mode: Literal["L", "RGB"]) -> NDArray[np.uint8]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if image.mode != mode:  # converting to the mode that it has would copy it
        image = image.convert(mode)
    return np.atleast_3d(np.asarray(image, dtype=np.uint8))


def _eight_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return grey values of more than eight bits as uint8: integers span 16 bits, floats span [0, 1]."""
    top = 1.0 if np.issubdtype(values.dtype, np.floating) else 65535.0
    wide = values.astype(np.float64)
    if not (np.isfinite(wide).all() and wide.min() >= 0 and wide.max() <= top):
        raise ValueError(f"grey values are outside 0 to {top:g}")
    return np.rint(wide * (255 / top)).astype(np.uint8)
