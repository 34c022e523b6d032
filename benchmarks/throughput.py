"""Training throughput: the train stage's code against a bare PyTorch loop, in turn, over the same network and data.

Ours is Lightning with the game, moving average, figures of every step to MLflow (a fresh SQLite store) and checkpoints;
the bare loop gathers batches from memory and steps a fused Adam, and does nothing else. Run from a workspace that has
data/prepared: python benchmarks/throughput.py [--family gan] [--steps 200] [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time

import numpy as np
import pytorch_lightning as pl
import torch

from pipeline import families, project
from pipeline.artefacts import PreparedData, SavedModel
from pipeline.batches import Batches
from pipeline.game import Game
from pipeline.params import Params
from pipeline.rng import Noise, torch_rng
from pipeline.training import fit
from pipeline.work import Work


class Clock(pl.Callback):
    """Notes when the first step of interest begins and when the last one ends, its checkpoint included."""

    def __init__(self, skip: int) -> None:
        self.skip, self.begin, self.end = skip, 0.0, 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, index: int) -> None:
        if index == self.skip:
            self.begin = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.end = time.perf_counter()


def ours(params: Params, data: PreparedData, steps: int, skip: int) -> float:
    """Return seconds a step through the real training code."""
    from pipeline import tracking

    batch = params.train.batch_size
    array = data.array("train")[: (steps + skip) * batch]
    settings = params.train.model_copy(update={"epochs": 1})
    family = families.build(params.family, params.family_section.model_dump(), data.spec)
    about = SavedModel(params.family, "image", {"train": settings.model_dump()}, data.digest)
    clock = Clock(skip)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DVC_ROOT"] = folder
        work = Work("benchmark")
        with work.alone(), tracking.start(about, data, params.runtime, work) as run:
            batches = Batches(array, batch, 0, lambda: game.done)
            game = Game(family, settings, len(batches), 0)
            game.log_figures = run.figures
            fit(game, batches, params.runtime, work.checkpoints, [clock], run.settled)
    return (clock.end - clock.begin) / steps


def bare(params: Params, data: PreparedData, steps: int, skip: int) -> float:
    """Return seconds a step of a plain loop."""
    batch = params.train.batch_size
    array = torch.from_numpy(np.array(data.array("train")))
    family = families.build(params.family, params.family_section.model_dump(), data.spec)
    players = {}
    for player in family.players:
        chosen = family.optimiser(player)
        weights = family.get_submodule(player).parameters()
        players[player] = torch.optim.Adam(weights, chosen.learning_rate, chosen.betas, fused=True)
    order, rng = torch.randperm(len(array)), torch_rng(0, "bare")
    begin = 0.0
    for step in range(steps + skip):
        if step == skip:
            begin = time.perf_counter()
        at = step * batch % (len(array) - batch)
        x = data.spec.scale(array[order[at : at + batch]])
        for player, optimiser in players.items():
            for other in players:
                family.get_submodule(other).requires_grad_(other == player)
            loss = family.loss(player, x, Noise(rng), 0.5).total
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return (time.perf_counter() - begin) / steps


def main() -> None:
    """Measure in turn, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--skip", type=int, default=10, help="steps before the clock starts")
    parser.add_argument("--rounds", type=int, default=5)
    words = parser.parse_args()
    workspace = project.workspace()
    params = Params.load(workspace).model_copy(update={"family": words.family})
    data = PreparedData.open(workspace)
    ratios, items = [], params.train.batch_size
    for _ in range(words.rounds):
        mine, plain = ours(params, data, words.steps, words.skip), bare(params, data, words.steps, words.skip)
        ratios.append(plain / mine)
        rates = f"ours {items / mine:7.0f} items/s, bare {items / plain:7.0f} items/s"
        print(f"{rates}, ratio {plain / mine:.3f}", flush=True)
    print(f"{words.family}: median ratio {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
