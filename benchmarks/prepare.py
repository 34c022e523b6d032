"""Memory and time of prepare by number of items: 32x32 RGB images, generated as files, prepared in a fresh process.

python benchmarks/memory.py [--items 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from tqdm import tqdm

from pipeline import project

PER_FOLDER = 10_000


def generate(folder: Path, start: int, end: int) -> None:
    """Write noise images as PPM, in subfolders that are their classes."""
    for i in tqdm(range(start, end), desc="generate", unit=" files", mininterval=5.0):
        place = folder / f"class{i // PER_FOLDER:03}"
        if i % PER_FOLDER == 0 or i == start:
            place.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, 32 * 32 * 3, dtype=np.uint8)
        (place / f"{i}.ppm").write_bytes(b"P6 32 32 255\n" + pixels.tobytes())


def prepare(source: Path, items: int) -> tuple[float, float]:
    """Return seconds and peak MiB of preparing a folder in a workspace of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        workspace = Path(temporary)
        params = yaml.safe_load((project.workspace() / "params.yaml").read_text())
        params["prepare"]["source"] = str(source)
        params["image"] = {"size": 32, "channels": 3}
        (workspace / "params.yaml").write_text(yaml.safe_dump(params))
        shutil.copy(project.workspace() / "dvc.yaml", workspace)
        (workspace / "data").mkdir()
        begin = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-m", "pipeline.stages.prepare"], cwd=workspace)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            sys.exit(f"prepare failed at {items} items")
        return time.perf_counter() - begin, usage.ru_maxrss / 1024


def main() -> None:
    """Measure at growing numbers of items, and print the growth per item."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    words = parser.parse_args()
    rows, made = [], 0
    with tempfile.TemporaryDirectory() as temporary:
        for items in sorted(words.items):
            generate(Path(temporary), made, items)
            made = items
            seconds, peak = prepare(Path(temporary), items)
            rows.append((items, seconds, peak))
            rate = items / seconds
            print(f"{items:>9,} items {seconds:8.1f} s {rate:7.0f} items/s, peak {peak:7.1f} MiB", flush=True)
    (few, _, low), (many, _, high) = rows[0], rows[-1]
    if many > few:
        print(f"growth {(high - low) * 1024 * 1024 / (many - few):.0f} bytes an item")


if __name__ == "__main__":
    main()
