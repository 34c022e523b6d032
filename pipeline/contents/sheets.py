"""Sheets of small pictures for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont

GAP = 2
CAPTION = 14
"""Of a sheet, in pixels: what is between pictures, and a line below each."""


def sheet(pictures: Sequence[Image.Image], columns: int, captions: Sequence[str]) -> Image.Image:
    """Return pictures of one size row by row, with captions below them where given."""
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


def _fitted(text: str, font: Any, width: int) -> str:
    """Return the text, shortened to a width in pixels."""
    while text and font.getlength(text) > width:
        text = text[:-1]
    return text
