"""The values of black and white in images with more than eight bits per value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from pipeline.contents.folders import UnusableError

Range = tuple[float, float]
"""The values of black and white."""
FULL: Range = (0, 65535)
WITHOUT_SIGN = ("PNG", "TIFF", "PPM", "JPEG2000", "IM", "ICO")
"""Formats whose 16-bit values are always unsigned integers, as Pillow assumes of all."""
TWELVE_BITS = 4095
BITS, PHOTOMETRIC, COLOUR_MAP, SAMPLE_FORMAT = 258, 262, 320, 339
LEAST, MOST = (340, 280), (341, 281)
"""TIFF's tags for the least and the greatest value that samples may have: of any type, and of integers."""
CONVERT = "convert it to 8 bits"
UNSTATED = f"it does not state which values are black and white; set image.value_range, or {CONVERT}"


def is_wide(mode: str) -> bool:
    """Return whether a mode has one band of more than eight bits."""
    return mode in ("I", "F") or mode.startswith("I;16")


def stated(file: ImageFile) -> Range | None:
    """Return the range that an image states, before it is loaded; None if it states none.

    Raises:
        UnusableError: Pillow would misread its values without an error.
    """
    if file.format == "PPM":
        _hold_to_maximum(file)
        return None if file.mode == "F" else FULL  # Pillow scales to 16 bits
    if not isinstance(file, TiffImageFile):
        return None
    bits, form = _first(file, BITS), _first(file, SAMPLE_FORMAT)
    if bits == 8 and form == 2:
        raise UnusableError(f"its 8-bit values are signed, which Pillow does not read; {CONVERT} unsigned")
    if file.mode in ("P", "PA") and 0 < max(file.tag_v2[COLOUR_MAP]) < 256:
        raise UnusableError("its palette has 8 bits, not TIFF's 16, and would be black; save it again with 16")
    low, high = (
        next((each for tag in tags if (each := _first(file, tag)) is not None), None) for tags in (LEAST, MOST)
    )
    if bits == 12:
        return 0, TWELVE_BITS
    if file.mode in ("I", "F"):
        return None if low is None or high is None or low >= high else (float(low), float(high))
    # some programs write the largest value present instead, which does not define white
    is_depth = bits == 16 and not low and high is not None and high >= 255 and np.log2(high + 1).is_integer()
    return (0, float(high)) if is_depth and high is not None else None


def narrowed(file: ImageFile) -> bool:
    """Return whether Pillow keeps only the upper 8 of an image's 16 bits on loading it."""
    return not is_wide(file.mode) and any(
        ";16" in str(tile.args) or tile.codec_name == "SGI16" for tile in file.tile[:1]
    )


def hold_narrowed(image: Image.Image, span: Range | None) -> None:
    """Refuse an image that its upper 8 bits alone would misrepresent.

    Raises:
        UnusableError: its range is not, or may not be, that of 16 bits, or it has a transparent colour.
    """
    extrema: Any = [image.getchannel(band).getextrema() for band in image.getbands() if band not in "Aa"]
    if (span or FULL) != FULL or (span is None and 0 < max(high for _, high in extrema) <= TWELVE_BITS >> 8):
        raise UnusableError(f"Pillow reads only the upper 8 of its 16 bits, and its values use fewer bits; {CONVERT}")
    if "transparency" in image.info:
        raise UnusableError(f"it has a transparent colour of 16 bits, which Pillow does not find; {CONVERT}")


def eight_bits(image: Image.Image, span: Range | None) -> NDArray[np.uint8]:
    """Convert the grey values of a loaded image of a wide mode to uint8.

    Without a range, unsigned integers span 16 bits and floats span [0, 1].

    Raises:
        UnusableError: values are outside the range, or there is none.
    """
    values = np.asarray(image).astype(np.float64)
    low, high = float(values.min()), float(values.max())
    has = f"its values are {low:g} to {high:g}"
    if image.mode.startswith("I;16") and image.format not in WITHOUT_SIGN:
        raise UnusableError(f"16-bit values of {image.format} may be signed, which Pillow does not read; {CONVERT}")
    if span is None:
        span = (0.0, 1.0) if image.mode == "F" else FULL
        is_dark = image.mode != "F" and 0 < high <= TWELVE_BITS
        if image.mode == "I" or is_dark or not span[0] <= low <= high <= span[1]:
            raise UnusableError(f"{has}, and {UNSTATED}")
    if not span[0] <= low <= high <= span[1]:
        raise UnusableError(f"{has}, outside {span[0]:g} (black) to {span[1]:g} (white)")
    grey = np.rint((values - span[0]) * (255 / (span[1] - span[0]))).astype(np.uint8)
    if isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC, 0) == 0:
        grey = 255 - grey  # white is zero, and Pillow inverts only images of eight bits
    if (clear := image.info.get("transparency")) is not None:
        grey[values == clear] = 255
    return grey


def _first(file: TiffImageFile, tag: int) -> Any:
    """Return a tag's value for the first band, or None."""
    value = file.tag_v2.get(tag)
    return value[0] if isinstance(value, tuple) else value


def _hold_to_maximum(file: ImageFile) -> None:
    """Refuse a PNM file with values above the maximum in its header, which Pillow would clip."""
    tile = file.tile[0]
    if tile.codec_name != "ppm" or file.fp is None or not isinstance(tile.args, tuple):
        return
    maximum = int(tile.args[-1])
    file.fp.seek(tile.offset)
    width = 1 if maximum < 256 else 2
    data = file.fp.read(file.width * file.height * Image.getmodebands(file.mode) * width)
    found = np.frombuffer(data[: len(data) // width * width], f">u{width}").max(initial=0)
    if found > maximum:
        raise UnusableError(f"it has values up to {found}, beyond the maximum of {maximum} in its header")
