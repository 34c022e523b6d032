"""Content `image`: square images, grey or RGB."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.contents.base import DataSpec, Item, Raw, Raws, Rejected, Stored
from pipeline.contents.display import sheet
from pipeline.contents.folders import Folder
from pipeline.contents.image import files, known_sets

SHOWN_SIDE = 64
PSNR_MOST = 100.0


class ImageContent:
    """Square images of `side` pixels; a raw item is (height, width, channels) uint8."""

    name = "image"
    formats: tuple[str, ...] = ("array", "png")
    suffix = ".png"
    distance: Literal["fid", "frechet"] = "fid"
    unit: Literal["dim", "byte"] = "dim"

    def __init__(self, side: int, channels: Literal[1, 3], value_range: Sequence[float] | None = None) -> None:
        """Set the side in pixels, the number of channels, and black and white for values of more than 8 bits."""
        self.side = side
        self.value_range = None if value_range is None else (value_range[0], value_range[1])
        self.channels: Literal[1, 3] = channels
        self.spec = DataSpec(shape=(channels, side, side), layout="grid")

    def learn(self, source: Folder) -> Mapping[str, Any]:
        """Return nothing: encoding depends on no source."""
        return {}

    def read(self, source: Folder) -> Iterator[Item | Rejected]:
        """Yield the images of a known set, or of any folder of image files."""
        found = known_sets.read(source)
        return files.read(source, self.channels, self.value_range) if found is None else found

    def encode(self, raw: Raw) -> Stored:
        """Crop to the central square, scale it with antialiasing (Lanczos), and put channels first."""
        array = self._with_channels(raw)
        height, width, _ = array.shape
        square = min(height, width)
        top, left = (height - square) // 2, (width - square) // 2
        array = array[top : top + square, left : left + square]
        if square != self.side:
            scaled = _picture(array).resize((self.side, self.side), Image.Resampling.LANCZOS, reducing_gap=3.0)
            array = np.atleast_3d(np.asarray(scaled))
        return np.ascontiguousarray(array.transpose(2, 0, 1))

    def decode(self, arrays: Stored) -> Raws:
        """Return images (n, height, width, channels) uint8."""
        return arrays.transpose(0, 2, 3, 1)

    def units(self, arrays: Stored) -> NDArray[np.float64]:
        """Return the number of values of each image."""
        return np.full(len(arrays), float(np.prod(self.spec.shape)))

    def reconstruction_scores(self, raws: Raws, raws_hat: Raws) -> dict[str, NDArray[np.float64]]:
        """Return the mean squared error per pixel, PSNR in dB, and SSIM of each image, for pixels in [0, 1].

        PSNR is at most 100 dB, a hundredth of the rounding to 8 bits. SSIM (Wang et al. 2004) has 11-pixel windows.
        """
        import torch

        from pipeline.contents.image.ssim import ssim

        a, b = (np.asarray(each, np.float64) / 255 for each in (raws, raws_hat))
        loss = np.square(a - b).mean(axis=(1, 2, 3))
        x, x_hat = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in (a, b))
        return {
            "reconstruction_loss": loss,
            "psnr": -10 * np.log10(loss.clip(min=10 ** (-PSNR_MOST / 10))),
            "ssim": ssim(x_hat, x).numpy(),
        }

    def scores(self, raws: Raws, train: Callable[[], Raws]) -> dict[str, NDArray[np.float64]]:
        """Return no scores: features cover everything."""
        return {}

    def histograms(self, raws: Raws) -> dict[str, Any]:
        """Return no histograms: features cover everything."""
        return {}

    def show(self, raws: Raws, columns: int, captions: Iterable[str] = ()) -> Image.Image:
        """Return a grid of images, enlarged by a whole factor, with captions where given."""
        side = max(1, SHOWN_SIDE // self.side) * self.side
        pictures = [_picture(raw).resize((side, side), Image.Resampling.NEAREST) for raw in raws]
        return sheet(pictures, columns, list(captions))

    def html(self, raws: Raws, raws_hat: Raws | None = None) -> str:
        """Return nothing: the picture is enough."""
        return ""

    def save(self, raw: Raw, path: Path) -> None:
        """Write a PNG file."""
        _picture(raw).save(path)

    def serialise(self, raws: Raws, form: str) -> NDArray[Any] | list[str]:
        """Return images as one array (n, height, width, channels) uint8, or each as a PNG file in base64."""
        return np.ascontiguousarray(raws) if form == "array" else [_base64_png(raw) for raw in raws]

    def _with_channels(self, raw: Raw) -> Raw:
        """Convert an image to this content's channels: repeat grey, or weight colours to luma (ITU-R 601)."""
        if raw.shape[2] == self.channels:
            return raw
        return np.atleast_3d(np.asarray(_picture(raw).convert("L" if self.channels == 1 else "RGB")))


def _picture(raw: NDArray[Any]) -> Image.Image:
    return Image.fromarray(raw[..., 0] if raw.shape[2] == 1 else np.ascontiguousarray(raw))


def _base64_png(raw: NDArray[Any]) -> str:
    file = io.BytesIO()
    _picture(raw).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
