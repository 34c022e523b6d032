"""Prepare: throughput and peak memory, against a pass of torchvision's ImageFolder, and by number of items.

Ours is the whole stage in one process: reading, decoding, scaling, digests, splits, arrays, their digests, the report.
Theirs is ImageFolder with Resize, CenterCrop and ToTensor through a DataLoader in batches of 128, which keeps nothing.
Both read the same PNG files of noise, each in a fresh process whose imports are not timed; the peak is that process's,
without its workers'. Then ours alone runs on growing numbers of items, for the growth of time and memory.
A million files of 32 pixels take 4 GB of disk until the end.
python benchmarks/prepare.py [--rounds 3] [--side 32] [--size 32] [--items 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from library import image_folder
from library.turns import Spread, in_turn, machine, ratios
from library.workspaces import workspace
from PIL import Image
from tqdm import tqdm

from pipeline.system import project

PER_FOLDER = 10_000
STAGE = """
import time
from pipeline.stages import prepare
begin = time.perf_counter()
prepare.main()
print(time.perf_counter() - begin)
"""
# a child's ru_maxrss begins with what its parent had when it was forked; VmHWM begins at its own exec
PEAK = """
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


class Cost(NamedTuple):
    """Seconds, the peak of resident memory in MiB, and images a second."""

    seconds: float
    peak: float
    rate: float


def generate(folder: Path, start: int, end: int, side: int) -> None:
    """Write noise images as PNG, in subfolders that are their classes."""
    for i in tqdm(range(start, end), desc="generate", unit=" files", mininterval=5.0):
        place = folder / f"class{i // PER_FOLDER:03}"
        if i % PER_FOLDER == 0 or i == start:
            place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place / f"{i}.png", compress_level=1)


def timed(images: int, folder: Path, program: str, *words: object) -> Cost:
    """Run a program that prints its seconds, in a fresh process."""
    command = [sys.executable, "-c", program + PEAK, *map(str, words)]
    seconds, peak = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    return Cost(float(seconds), int(peak) / 1024, images / float(seconds))


def theirs(source: Path, size: int, images: int, workers: int) -> Cost:
    """Return the cost of a pass of ImageFolder with so many worker processes."""
    return timed(images, source, Path(image_folder.__file__).read_text(), source, size, workers)


def ours(source: Path, size: int, images: int) -> Cost:
    """Return the cost of the stage, in a workspace of its own."""
    changes = {"prepare.source": str(source), "image.side": size, "image.channels": 3}
    with tempfile.TemporaryDirectory() as temporary:
        return timed(images, workspace(Path(temporary), project.workspace(), changes), STAGE)


def against(source: Path, size: int, images: int, rounds: int) -> dict[str, Spread]:
    """Print throughput and peak of each way, measured in turn, and return how many times as fast ours is."""
    ways = {"prepare": partial(ours, source, size, images)} | {
        f"ImageFolder, {workers} worker{'s' * (workers > 1)}": partial(theirs, source, size, images, workers)
        for workers in (1, 2)
    }
    found = in_turn(ways, rounds, attrgetter("rate"))
    rates = {name: [cost.rate for cost in costs] for name, costs in found.items()}
    for name, costs in found.items():
        print(f"{name:24} {Spread.of(rates[name])} images/s, peak {max(cost.peak for cost in costs):.0f} MiB")
    return {name: ratios(rates["prepare"], rates[name]) for name in list(ways)[1:]}


def growth(folder: Path, items: list[int], side: int, size: int) -> None:
    """Print the cost of ours at growing numbers of items, and the memory that an additional item takes."""
    costs: dict[int, Cost] = {}
    for made, count in zip([0, *sorted(items)], sorted(items), strict=False):
        generate(folder, made, count, side)
        cost = costs[count] = ours(folder, size, count)
        row = f"{count:>9,} items {cost.seconds:8.1f} s {cost.seconds / count * 1e6:7.0f} us an item"
        print(f"{row}, peak {cost.peak:7.1f} MiB", flush=True)
    few, many = min(costs), max(costs)
    if many > few:
        print(f"growth {(costs[many].peak - costs[few].peak) * 1024 * 1024 / (many - few):.0f} bytes an item")


def main() -> None:
    """Measure both, then ours at growing numbers of items."""
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
