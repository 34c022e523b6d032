"""What it costs that a training can be killed: the train stage's code against the same without what makes it go on.

Both are Lightning with the game over the same network and data, for whole epochs. The one has checkpoints at their
default interval and at each epoch's end, figures of every step through the spool to MLflow (a fresh SQLite store), and
randomness as a function of seed and step; the other has none of these: it draws from one generator, saves nothing and
logs nothing. Run from a workspace that has data/prepared:
python benchmarks/durability.py [--family gan] [--epochs 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from unittest import mock

import numpy as np
import pytorch_lightning as pl
import torch

from pipeline import families, project
from pipeline.artefacts import PreparedData, SavedModel
from pipeline.batches import Batches, Share
from pipeline.game import Game
from pipeline.params import Params
from pipeline.training import Progress, fit
from pipeline.work import Work


class Clock(pl.Callback):
    """Notes when the first epoch of interest begins, and when the last step ends."""

    def __init__(self) -> None:
        self.begin = self.end = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.current_epoch == 1:
            self.begin = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.end = time.perf_counter()


class PlainBatches(Batches):
    """Batches in the order of a generator that keeps its state."""

    def __iter__(self) -> Iterator[Share]:
        order = torch.randperm(len(self.array)).numpy()
        for step in range(len(self)):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield Share(torch.from_numpy(self.array[batch]), 0, len(batch), len(batch))


def kept(params: Params, data: PreparedData) -> float:
    """Return seconds of the epochs but the first, with all that makes a training go on."""
    from pipeline import tracking

    about = SavedModel(params.family, "image", {"train": params.train.model_dump()}, data.digest)
    family = families.build(params.family, params.family_section.model_dump(), data.spec)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder
        work = Work("benchmark")
        with work.alone(), tracking.start(about, data, params.runtime, work) as run:
            batches = Batches(np.array(data.array("train")), params.train.batch_size, 0, lambda: game.done)
            game = Game(family, params.train, len(batches), 0)
            game.log_figures = run.figures
            fit(game, batches, params.runtime, work.checkpoints, [clock], run.settled)
    return clock.end - clock.begin


def lost(params: Params, data: PreparedData) -> float:
    """Return the same without."""
    family = families.build(params.family, params.family_section.model_dump(), data.spec)
    clock, generator = Clock(), torch.Generator()
    batches = PlainBatches(np.array(data.array("train")), params.train.batch_size, 0, lambda: 0)
    game = Game(family, params.train, len(batches), 0)
    trainer = pl.Trainer(
        accelerator=params.runtime.accelerator,
        precision=params.runtime.precision,
        max_epochs=params.train.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        callbacks=[Progress(50), clock],
    )
    with mock.patch("pipeline.game.torch_rng", return_value=generator):
        trainer.fit(game, batches)
    return clock.end - clock.begin


def main() -> None:
    """Measure in turn, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--epochs", type=int, default=2, help="epochs that are timed, after one that is not")
    parser.add_argument("--rounds", type=int, default=5)
    words = parser.parse_args()
    workspace = project.workspace()
    params = Params.load(workspace)
    settings = params.train.model_copy(update={"epochs": words.epochs + 1})
    params = params.model_copy(update={"family": words.family, "train": settings})
    data = PreparedData.open(workspace)
    costs = []
    for _ in range(words.rounds):
        with_it, without = kept(params, data), lost(params, data)
        costs.append(with_it / without - 1)
        print(f"{with_it:.2f} s with, {without:.2f} s without: {costs[-1]:+.1%}", flush=True)
    print(f"{words.family}: median cost {statistics.median(costs):+.1%} ({min(costs):+.1%} to {max(costs):+.1%})")


if __name__ == "__main__":
    main()
