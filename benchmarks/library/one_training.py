"""One training by the train stage's code over noise images, which measures itself: growth.py starts it.

It prints a line of JSON: the median seconds of a step, MiB of memory at the start and at the peak (the checkpoint at
the end included), and the number of trained parameters. Of several processes it also reports the cost of an all-reduce
alone, and the bytes that each process sends in a step. These are counted over all interfaces of the network, so it
should run in a network of its own. Where params.yaml is: python benchmarks/library/one_training.py
[--family gan] [--batch 64] [--size 28] [--width 64] [--devices 2] [--nodes 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed as dist

from pipeline.contents.image.content import ImageContent
from pipeline.data.batches import Batches
from pipeline.models import families
from pipeline.params import Params
from pipeline.system import processes, project
from pipeline.system.distributed import leads
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import fit

PROBE = 1 << 20
"""Numbers in the all-reduce that measures the bandwidth."""


def peak() -> float:
    """Return the peak of this process's resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sent() -> int:
    """Return the bytes that all interfaces of this network ever sent, or 0 where the system does not report them."""
    table = Path("/proc/self/net/dev")
    lines = table.read_text().splitlines()[2:] if table.exists() else []
    return sum(int(line.partition(":")[2].split()[8]) for line in lines)


def all_reduce(numbers: int, rounds: int) -> float:
    """Return the median seconds of an all-reduce of so many float32."""
    tensor, seconds = torch.zeros(numbers), []
    for _ in range(rounds):
        dist.barrier()
        begin = time.perf_counter()
        dist.all_reduce(tensor)
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


class Meter(pl.Callback):
    """Records the time and the bytes sent as each step begins, and the cost of an all-reduce before the first."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.sent: list[int] = []
        self.link: dict[str, float] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.world_size > 1:
            few, many = all_reduce(1, 50), all_reduce(PROBE, 5)
            hops, share = 2 * (trainer.world_size - 1), 2 * (trainer.world_size - 1) / trainer.world_size
            self.link = {"latency": few / hops, "bandwidth": 8 * share * 4 * PROBE / (many - few)}

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, index: int) -> None:
        self.times.append(time.perf_counter())
        self.sent.append(sent())


def measured(params: Params, size: int, steps: int, skip: int) -> dict[str, float]:
    """Train for so many steps after some that do not count, and return the measurements."""
    spec = ImageContent(size, params.image.channels).spec
    settings = params.train.model_copy(update={"epochs": 1})
    items = (skip + steps + 1) * settings.batch_size
    array = np.random.default_rng(0).integers(0, 256, (items, *spec.shape), np.uint8)
    base, meter = peak(), Meter()
    torch.manual_seed(0)
    family = families.build(params.family, params.family_section.model_dump(), spec)
    batches = Batches(array, settings.batch_size, 0, lambda: game.done)
    game = FamilyModule(family, settings, len(batches), 0)
    with tempfile.TemporaryDirectory() as folder:
        fit(game, batches, params.runtime, Path(folder), [meter])
    return {
        "seconds": statistics.median(after - before for before, after in pairwise(meter.times[skip:])),
        "base": base,
        "peak": peak(),
        "parameters": sum(each.numel() for each in family.parameters()),
        "players": len(family.players),
        "sent": (meter.sent[-1] - meter.sent[skip]) / steps / params.runtime.devices,
        **meter.link,
    }


def main() -> None:
    """Train, and print the measurements in the leading process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    defaults = {"batch": 64, "size": 28, "width": 64, "devices": 1, "nodes": 1, "steps": 40, "skip": 5}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    words = parser.parse_args()
    processes.end_with_parent()
    params = Params.load(project.workspace())
    runtime = {"accelerator": "cpu", "devices": words.devices, "nodes": words.nodes, "checkpoint_seconds": 86_400}
    section = getattr(params, words.family).model_copy(update={"width": words.width})
    changes = {
        "family": words.family,
        words.family: section,
        "train": params.train.model_copy(update={"batch_size": words.batch}),
        "runtime": params.runtime.model_copy(update=runtime),
    }
    found = measured(params.model_copy(update=changes), words.size, words.steps, words.skip)
    if leads():
        print(f"\n{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
