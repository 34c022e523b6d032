"""What it costs that a training can be killed: the share of its seconds that goes into what makes it go on.

Two trainings timed against each other differ by a tenth on a machine of two cores whatever they do, which hides a
hundredth. So the parts are timed within one training of the train stage's own code, with metrics going to a fresh
SQLite store: checkpoints at their default interval and at each epoch's end, the hand-over of metrics to the spool, and
generators made from seed and step. Beside them stands the processor time of the threads that send the metrics and
heartbeats and watch the system, which any tracked training has: counted as if nothing else could run meanwhile.
Run from a workspace that has data/prepared:
python benchmarks/durability.py [--family gan] [--epochs 8]
"""

from __future__ import annotations

import argparse
import statistics
import threading
import time

import numpy as np
import psutil
import pytorch_lightning as pl
from parts import Parts
from tracked import train
from turns import machine

from pipeline.data import batches
from pipeline.data.prepared import PreparedData
from pipeline.models import families
from pipeline.params import Params
from pipeline.system import project
from pipeline.training import game
from pipeline.training.game import Game
from pipeline.training.trainer import Checkpoints


class Meter(pl.Callback):
    """Notes the sums of the parts at the end of each epoch."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.notes: list[dict[str, float]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.note()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.note()

    def note(self) -> None:
        beside = {thread.native_id for thread in threading.enumerate()} - {threading.main_thread().native_id}
        threads = [thread for thread in psutil.Process().threads() if thread.id in beside]
        processor = sum(thread.user_time + thread.system_time for thread in threads)
        self.notes.append(self.parts.seconds | {"threads": processor, "all": time.perf_counter()})

    def epochs(self) -> list[dict[str, float]]:
        """Return the seconds of each part in each epoch but the first."""
        pairs = zip(self.notes[1:], self.notes[2:], strict=False)
        return [{part: after[part] - before[part] for part in before} for before, after in pairs]


def measured(params: Params, data: PreparedData) -> list[dict[str, float]]:
    """Train, and return the seconds of each part in each epoch."""
    family = families.build(params.family, params.family_section.model_dump(), data.spec)
    parts = Parts()
    meter = Meter(parts)
    places = (
        (Checkpoints, "on_train_batch_end", "checkpoints"),
        (Checkpoints, "on_train_epoch_end", "checkpoints"),
        (Game, "flush", "metrics"),
        (game, "torch_rng", "generators"),
        (batches, "numpy_rng", "generators"),
    )
    with parts.of(*places):
        train(family, params, data, np.array(data.array("train")), [meter])
    return meter.epochs()


def main() -> None:
    """Measure, and print each part's share of the seconds that would be left without any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--epochs", type=int, default=8, help="epochs that are timed, after one that is not")
    words = parser.parse_args()
    print(machine("pytorch-lightning", "mlflow"))
    workspace = project.workspace()
    params = Params.load(workspace)
    settings = params.train.model_copy(update={"epochs": words.epochs + 1})
    params = params.model_copy(update={"family": words.family, "train": settings})
    alone, tracked = [], []
    for epoch in measured(params, PreparedData.open(workspace)):
        whole, threads = epoch.pop("all"), epoch.pop("threads")
        mine = sum(epoch.values())
        rest = whole - mine - threads
        alone.append(mine / rest)
        tracked.append((mine + threads) / rest)
        shares = ", ".join(f"{part} {seconds:.3f} s" for part, seconds in epoch.items())
        print(f"{whole:.2f} s an epoch: {shares}, {alone[-1]:.1%}; with {threads:.3f} s of threads, {tracked[-1]:.1%}")
    for name, costs in (("durability", alone), ("with tracking", tracked)):
        print(f"{words.family}, {name}: median {statistics.median(costs):.1%} ({min(costs):.1%} to {max(costs):.1%})")


if __name__ == "__main__":
    main()
