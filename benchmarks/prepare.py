"""Prepare: images a second and peak memory, against a pass of torchvision's ImageFolder, and by number of items.

Ours is the whole stage in one process: reading, decoding, scaling, digests, splits, arrays, their digests, the report.
Theirs is ImageFolder with Resize, CenterCrop and ToTensor through a DataLoader in batches of 128, which keeps nothing.
Both read the same PNG files of noise, each in a fresh process whose imports are not timed; the peak is that process's,
without its workers'. Then ours alone at growing numbers of items: is time linear, and memory flat?
A million files of 32 pixels take 4 GB of disk, which are given back.
python benchmarks/prepare.py [--rounds 3] [--side 32] [--size 32] [--items 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import CenterCrop, Compose, Resize, ToTensor
from tqdm import tqdm
from turns import Spread, in_turn, machine, ratios
from workspaces import workspace

from pipeline.system import project

PER_FOLDER = 10_000
BATCH = 128
STAGE = """
import time
from pipeline.stages import prepare
begin = time.perf_counter()
prepare.main()
print(time.perf_counter() - begin)
"""
PASS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import prepare
print(prepare.image_folder(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
"""
# a child's ru_maxrss begins with what its parent had when it was forked; VmHWM begins at its own exec
PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


class Cost(NamedTuple):
    """Seconds, and the peak of resident memory in MiB."""

    seconds: float
    peak: float


def generate(folder: Path, start: int, end: int, side: int) -> None:
    """Write noise images as PNG, in subfolders that are their classes."""
    for i in tqdm(range(start, end), desc="generate", unit=" files", mininterval=5.0):
        place = folder / f"class{i // PER_FOLDER:03}"
        if i % PER_FOLDER == 0 or i == start:
            place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{i}.png", compress_level=1)


def image_folder(source: Path, size: int, workers: int) -> float:
    """Return the seconds of a pass of ImageFolder over a folder of images, the listing of its files included."""
    torch.set_num_threads(1)
    begin = time.perf_counter()
    images = ImageFolder(source, Compose([Resize(size), CenterCrop(size), ToTensor()]))
    seen = sum(len(labels) for _, labels in DataLoader(images, BATCH, num_workers=workers))
    if seen != len(images):
        raise RuntimeError(f"{seen} of {len(images)} images")
    return time.perf_counter() - begin


def timed(program: str, *words: object, cwd: Path) -> Cost:
    """Run a program that prints seconds in a fresh process."""
    command = [sys.executable, "-c", program + PEAK, *map(str, words)]
    seconds, peak = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return Cost(float(seconds), int(peak) / 1024)


def theirs(source: Path, size: int, workers: int) -> Cost:
    """Return what a pass of ImageFolder takes with some worker processes beside its own."""
    return timed(PASS, Path(__file__).parent, source, size, workers, cwd=source)


def ours(source: Path, size: int) -> Cost:
    """Return what the stage takes, in a workspace of its own."""
    changes = {"prepare.source": str(source), "image.side": size, "image.channels": 3}
    with tempfile.TemporaryDirectory() as temporary:
        folder = workspace(Path(temporary), project.workspace(), changes)
        return timed(STAGE, cwd=folder)


def against(source: Path, size: int, images: int, rounds: int) -> dict[str, Spread]:
    """Print images a second and peaks of each way, in turn, and return how many times faster ours is."""
    peaks: dict[str, float] = {}

    def rate(name: str, way: Callable[[], Cost]) -> Callable[[], float]:
        def run() -> float:
            cost = way()
            peaks[name] = max(cost.peak, peaks.get(name, 0.0))
            return images / cost.seconds

        return run

    one, two = (f"ImageFolder, {workers} worker{'s' * (workers > 1)}" for workers in (1, 2))
    ways = {"prepare": lambda: ours(source, size)}
    ways |= {one: lambda: theirs(source, size, 1), two: lambda: theirs(source, size, 2)}
    rates = in_turn({name: rate(name, way) for name, way in ways.items()}, rounds)
    for name, found in rates.items():
        print(f"{name:24} {Spread.of(found)} images/s, peak {peaks[name]:.0f} MiB")
    return {name: ratios(rates["prepare"], rates[name]) for name in (one, two)}


def growth(folder: Path, items: list[int], side: int, size: int) -> None:
    """Print what ours takes at growing numbers of items, and the memory that an item more takes."""
    rows: list[tuple[int, Cost]] = []
    made = 0
    for count in sorted(items):
        generate(folder, made, count, side)
        made = count
        cost = ours(folder, size)
        rows.append((count, cost))
        said = f"{count:>9,} items {cost.seconds:8.1f} s {cost.seconds / count * 1e6:7.0f} us an item"
        print(f"{said}, peak {cost.peak:7.1f} MiB", flush=True)
    (few, low), (many, high) = rows[0], rows[-1]
    if many > few:
        print(f"growth {(high.peak - low.peak) * 1024 * 1024 / (many - few):.0f} bytes an item")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=10_000, help="of each pass that is compared")
    parser.add_argument("--side", type=int, default=32, help="pixels of the files")
    parser.add_argument("--size", type=int, default=32, help="pixels that they are prepared at")
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000], help="of ours alone")
    words = parser.parse_args()
    print(machine("torchvision", "pillow"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        generate(folder, 0, words.images, words.side)
        for name, faster in against(folder, words.size, words.images, words.rounds).items():
            print(f"prepare against {name}: {faster} times as fast")
    with tempfile.TemporaryDirectory() as temporary:
        growth(Path(temporary), words.items, words.side, words.size)


if __name__ == "__main__":
    main()
