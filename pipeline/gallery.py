"""Items as files of their own, each as what it is."""

from __future__ import annotations

from pathlib import Path

from tqdm import tqdm

from pipeline.contents.base import Content, Raws


def write(content: Content, raws: Raws, folder: Path) -> None:
    """Write each raw item into a file of its own."""
    for i, raw in enumerate(tqdm(raws, desc="write", leave=False, delay=1.0)):
        content.save(raw, folder / f"sample-{i:0{len(str(len(raws) - 1))}}{content.suffix}")
