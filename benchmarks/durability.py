"""The cost of surviving a kill: the share of a training's seconds that is spent so that it can resume.

Whole trainings in turn differ by a tenth on a machine of two cores, which hides a hundredth. So the parts are timed
within one training by the train stage's code, with metrics to a fresh SQLite store: checkpoints, at their default
interval and at the end of each epoch; the hand-over of metrics to the spool; random generators made from seed and step.
Reported beside them is the processor time of the threads that send metrics and heartbeats and watch the system, which
any tracked training has, counted as if it never ran in parallel.
Run from a workspace that has data/prepared:
python benchmarks/durability.py [--family gan] [--epochs 8]
"""

from __future__ import annotations

import argparse
import threading
import time

import numpy as np
import psutil
import pytorch_lightning as pl
from library.parts import Parts
from library.training import train
from library.turns import Spread, machine

from pipeline.data import batches
from pipeline.data.prepared import PreparedData
from pipeline.models import families
from pipeline.params import Params
from pipeline.system import project
from pipeline.training import module
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import Checkpoints


class Meter(pl.Callback):
    """Records the seconds of the parts so far as each epoch begins."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.notes: list[dict[str, float]] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.note()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.note()

    def note(self) -> None:
        others = {thread.native_id for thread in threading.enumerate()} - {threading.main_thread().native_id}
        threads = [thread for thread in psutil.Process().threads() if thread.id in others]
        processor = sum(thread.user_time + thread.system_time for thread in threads)
        self.notes.append(self.parts.seconds | {"threads": processor, "all": time.perf_counter()})

    def epochs(self) -> list[dict[str, float]]:
        """Return the seconds of each part in each epoch except the first."""
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
        (FamilyModule, "flush", "metrics"),
        (module, "torch_rng", "generators"),
        (batches, "numpy_rng", "generators"),
    )
    with parts.of(*places):
        train(family, params, data, np.array(data.array("train")), [meter])
    return meter.epochs()


def main() -> None:
    """Measure, and print each part's share relative to the seconds of the rest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--epochs", type=int, default=8, help="timed epochs, after one that is not timed")
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
        median, least, most = Spread.of(costs)
        print(f"{words.family}, {name}: median {median:.1%} ({least:.1%} to {most:.1%})")


if __name__ == "__main__":
    main()
