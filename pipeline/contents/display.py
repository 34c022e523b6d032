"""Output of items for display: a sheet of small pictures, or one file per item."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from pipeline.contents.base import Content, Raws
from pipeline.system import progress

GAP = 2
CAPTION = 14
"""Pixels of a sheet: the gap between pictures, and the caption line below each."""


def sheet(pictures: Sequence[Image.Image], columns: int, captions: Sequence[str]) -> Image.Image:
    """Arrange pictures of one size row by row, with captions below them where given."""
    width, height = pictures[0].size if pictures else (0, 0)
    line = CAPTION if captions else 0
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP + line) + GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=10)
    for i, each in enumerate(pictures):
        row, column = divmod(i, columns)
        left, top = GAP + column * (width + GAP), GAP + row * (height + GAP + line)
        page.paste(each, (left, top))
        if captions:
            draw.text((left, top + height + 1), _fitted(captions[i], font, width), fill="black", font=font)
    return page


def default_output(content: Content) -> str:
    """Return the default path of samples: one picture, or a folder of files to read or listen to."""
    return "samples.png" if content.suffix == ".png" else "samples"


def write_samples(content: Content, raws: Raws, folder: Path) -> None:
    """Write each raw item to a file of its own."""
    for i, raw in enumerate(progress.bar(raws, desc="write", leave=False, delay=1.0)):
        content.save(raw, folder / f"sample-{i:0{len(str(len(raws) - 1))}}{content.suffix}")


def _fitted(text: str, font: Any, width: int) -> str:
    """Shorten a text to a width in pixels."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
