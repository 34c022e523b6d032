"""Throughput of training: the train stage's code against loops and libraries that people could use instead.

All train the same network on the same batches, in turn. `ours` is the stage's code: Lightning, moving average, metrics
of every step to MLflow (a fresh SQLite store), a checkpoint at the end. `bare` is a plain PyTorch loop over data in
memory, with a default Adam; `limit` is that loop with all that makes it faster; `template` is Lightning with a
DataLoader, a torchvision transform for each item, and MLFlowLogger; `pythae` is pythae's trainer with these networks in
its VAE. All but the loops save their model at the end. None validates on held-out items, as the stage does after each
epoch. `--helps` measures what the loop gains by a fused Adam, weights in channels_last, compilation and bfloat16.
Run from a workspace: python benchmarks/throughput.py [--family gan] [--size 64 --channels 3] [--rounds 5] [--helps]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from library.loops import HELPS, bare
from library.parts import Parts
from library.pythae_vae import pythae
from library.template import template
from library.training import Clock, Task, tasked, train
from library.turns import Spread, in_turn, machine, ratios

from pipeline.contents.base import DataSpec
from pipeline.data.batches import Batches
from pipeline.models import families
from pipeline.system import project
from pipeline.training import module
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import Checkpoints

TARGETS = {"limit": 0.95, "template": 1.5, "pythae": 1.25}


def ours(task: Task, steps: int, skip: int, parts: Parts | None = None) -> float:
    """Train with the stage's code and return seconds a step; `parts` receives the seconds of each part."""
    settings = task.params.train.model_copy(update={"epochs": 1})
    params, clock = task.params.model_copy(update={"train": settings}), Clock(skip)
    family, meter = task.family(), parts or Parts()
    places = (
        (Batches, "__iter__", "data"),
        (DataSpec, "scale", "data"),
        (type(family), "loss", "forward"),
        (FamilyModule, "manual_backward", "backward"),
        (torch.optim.Adam, "step", "optimiser"),
        (torch.optim.Adam, "zero_grad", "optimiser"),
        (FamilyModule, "_move_average", "moving average"),
        (FamilyModule, "_note", "metrics"),
        (FamilyModule, "flush", "metrics"),
        (Checkpoints, "_save", "checkpoint"),
        (module, "torch_rng", "generators"),
    )
    with meter.of(*places):
        train(family, params, task.data, task.array(steps + skip), [clock])
    return clock.seconds / steps


def things(task: Task, steps: int, skip: int) -> dict[str, Callable[[], float]]:
    """Return the ways to train by name; each returns its seconds a step."""
    batch, array = task.params.train.batch_size, np.array(task.array(steps + skip))
    limit = ("fused", "bfloat16") if task.multiplies_bfloat16 else ("fused",)
    found: dict[str, Callable[[], float]] = {
        "ours": partial(ours, task, steps, skip),
        "bare": lambda: bare(task.family(), array, batch, skip),
        "limit": lambda: bare(task.family(), array, batch, skip, limit),
        "template": lambda: template(task.family(), array, batch, skip),
    }
    if task.params.family == "vae":
        found["pythae"] = lambda: pythae(task.family(), array, batch, skip)
    return found


def helped(task: Task, steps: int, skip: int) -> dict[str, Callable[[], float]]:
    """Return the bare loop with each combination of what might make it faster, by name."""
    batch, array = task.params.train.batch_size, np.array(task.array(steps + skip))

    def loop(helps: Sequence[str]) -> float:
        return bare(task.family(), array, batch, skip, helps)

    chosen = [helps for helps in HELPS if task.multiplies_bfloat16 or "bfloat16" not in helps]
    return {" and ".join(helps) or "bare": partial(loop, helps) for helps in chosen}


def main() -> None:
    """Measure in turn, and print medians, ratios, and the share of each part in a step of ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--steps", type=int, default=105)
    parser.add_argument("--skip", type=int, default=5, help="steps before the clock starts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--helps", action="store_true", help="measure only what makes a bare loop faster")
    words = parser.parse_args()
    parts = Parts()
    with tasked(project.workspace(), words.family, words.size, words.channels) as task:
        chosen = helped(task, words.steps, words.skip) if words.helps else things(task, words.steps, words.skip)
        taken = in_turn(chosen, words.rounds)
        whole = 0.0 if words.helps else ours(task, words.steps, 0, parts) * words.steps
    first, batch = next(iter(taken)), task.params.train.batch_size
    print(machine("pytorch-lightning", "mlflow", "pythae"))
    print(f"{words.family}, {words.channels} x {words.size} x {words.size}, batches of {batch}")
    for each, seconds in taken.items():
        rate, ratio = Spread.of([batch / second for second in seconds]), ratios(seconds, taken[first])
        goal = f", the target is {TARGETS[each]}" if each in TARGETS else ""
        print(f"{each}: {rate} items/s; {first} is {ratio} times as fast{goal}")
    if words.helps:
        return
    shares = ", ".join(f"{part} {seconds / whole:.1%}" for part, seconds in parts.seconds.items())
    print(f"of a step of ours: {shares}, the rest {1 - sum(parts.seconds.values()) / whole:.1%}")


if __name__ == "__main__":
    main()
