"""Spectrograms as pictures, and sounds as HTML to play."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 128
MAGMA = (0x000004, 0x1D1147, 0x51127C, 0x832681, 0xB73779, 0xE75263, 0xFC8961, 0xFEC488, 0xFCFDBF)
"""Nine colours of the colour map magma, perceptually uniform from black to white (van der Walt & Smith 2015)."""

Levels = NDArray[np.uint8]


def contact_sheet(rows: Sequence[Sequence[tuple[Levels, bytes]]]) -> str:
    """Return sounds, each a spectrogram and a WAV file, as HTML that loads nothing from outside the page.

    A row holds one sound, or an original and its reconstruction.
    """
    blocks = []
    for number, row in enumerate(rows, 1):
        names = [f"{number}"] if len(row) == 1 else [f"{number}, original", f"{number}, reconstruction"]
        sounds = "".join(_sound(name, *each) for name, each in zip(names, row, strict=True))
        blocks.append(f'<div style="display:inline-flex;gap:4px;margin:0 12px 12px 0">{sounds}</div>')
    return "\n".join(blocks)


def picture(levels: Levels) -> Image.Image:
    """Draw levels (mels, frames) in colour, enlarged by a whole factor."""
    at = np.linspace(0, 255, len(MAGMA))
    channels = [[colour >> shift & 255 for colour in MAGMA] for shift in (16, 8, 0)]
    table = np.stack([np.interp(np.arange(256), at, each) for each in channels], axis=1).round().astype(np.uint8)
    factor = max(1, SIDE // max(levels.shape))
    return Image.fromarray(table[levels[::-1]].repeat(factor, axis=0).repeat(factor, axis=1))


def _sound(name: str, levels: Levels, wav: bytes) -> str:
    file = io.BytesIO()
    picture(levels).save(file, "PNG", optimize=True)
    png, sound = (base64.b64encode(each).decode() for each in (file.getvalue(), wav))
    return (
        f'<figure style="margin:0;width:{2 * SIDE}px"><img alt="spectrogram of {name}" '
        f'src="data:image/png;base64,{png}" style="width:100%;image-rendering:pixelated">'
        f'<audio controls preload="none" style="width:100%" src="data:audio/wav;base64,{sound}"></audio>'
        f"<figcaption>{name}</figcaption></figure>"
    )
