"""One training of the train stage's code over noise images, which measures itself: benchmarks/growth.py starts it.

It prints, as a line of JSON, the median seconds of a step, MiB of memory at its start and at their peak (the checkpoint
at the end included), and the trained parameters. Of several processes it says also what an all-reduce takes by itself,
and the bytes that each process sends in a step: those of all interfaces of the network, so that it should have one of
its own. Where params.yaml is:
python benchmarks/one_training.py [--family gan] [--batch 64] [--size 28] [--width 64] [--devices 2] [--nodes 2]
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
from pipeline.training.game import Game
from pipeline.training.trainer import fit

PROBE = 1 << 20
"""Numbers in the all-reduce that tells the bandwidth."""


def peak() -> float:
    """Return the most memory that this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sent() -> int:
    """Return the bytes that all interfaces of this network ever sent, or 0 where that cannot be told."""
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
    """Notes the time and the bytes sent so far as each step begins, and before the first what an all-reduce takes."""

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
    """Train on so many steps after some that do not count, and return what the module's docstring says."""
    spec = ImageContent(size, params.image.channels).spec
    settings = params.train.model_copy(update={"epochs": 1})
    items = (skip + steps + 1) * settings.batch_size
    array = np.random.default_rng(0).integers(0, 256, (items, *spec.shape), np.uint8)
    base, meter = peak(), Meter()
    torch.manual_seed(0)
    family = families.build(params.family, params.family_section.model_dump(), spec)
    batches = Batches(array, settings.batch_size, 0, lambda: game.done)
    game = Game(family, settings, len(batches), 0)
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
    """Train, and let the process that leads say what it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    for name, default in {
        "batch": 64,
        "size": 28,
        "width": 64,
        "devices": 1,
        "nodes": 1,
        "steps": 40,
        "skip": 5,
    }.items():
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
