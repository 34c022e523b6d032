"""Items as files of their own, each as what it is."""

from __future__ import annotations

from pathlib import Path

from pipeline import progress
from pipeline.contents.base import Content, Raws


def place(content: Content) -> str:
    """Return where samples go by themselves: one picture, or a folder with a file each of what is read or heard."""
    return "samples.png" if content.suffix == ".png" else "samples"


def write(content: Content, raws: Raws, folder: Path) -> None:
    """Write each raw item into a file of its own."""
    for i, raw in enumerate(progress.bar(raws, desc="write", leave=False, delay=1.0)):
        content.save(raw, folder / f"sample-{i:0{len(str(len(raws) - 1))}}{content.suffix}")
