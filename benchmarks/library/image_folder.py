"""A pass of torchvision's ImageFolder over a folder of images: prepare.py runs this in a fresh process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Resize, ToTensor

BATCH = 128


def image_folder(source: Path, size: int, workers: int) -> float:
    """Return the seconds of a pass, the listing of the files included.

    Raises:
        RuntimeError: some images are missing from the pass.
    """
    torch.set_num_threads(1)
    begin = time.perf_counter()
    images = ImageFolder(source, Compose([Resize(size), CenterCrop(size), ToTensor()]))
    seen = sum(len(labels) for _, labels in DataLoader(images, BATCH, num_workers=workers))
    if seen != len(images):
        raise RuntimeError(f"{seen} of {len(images)} images")
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(image_folder(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
