"""Training throughput: the train stage's code against loops and libraries that people would use instead.

All take the same network, batches and data, in turn. `ours` is the stage's code: Lightning, moving average, metrics of
every step to MLflow (a fresh SQLite store), a checkpoint at the end. `bare` is a plain PyTorch loop over data in
memory, with Adam as it comes; `limit` is that loop with all that helps; `template` is Lightning with a DataLoader, a
torchvision transform for each item, and MLFlowLogger; `pythae` is pythae's trainer with these networks in its VAE. All
but the loops save what they trained at the end. None looks at held-out items, as the stage does after each epoch.
`--helps` measures what the loop gains by a fused Adam, weights in channels_last, compilation and bfloat16.
Run from a workspace: python benchmarks/throughput.py [--family gan] [--size 64 --channels 3] [--rounds 5] [--helps]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from loops import HELPS, Clock, bare, pythae, template
from parts import Parts
from tracked import train
from turns import Spread, in_turn, machine, ratios
from workspaces import prepared

from pipeline.contents.base import DataSpec
from pipeline.data.batches import Batches
from pipeline.data.prepared import PreparedData
from pipeline.models import families
from pipeline.models.families.base import Family
from pipeline.params import Params
from pipeline.system import project
from pipeline.training import environment, game
from pipeline.training.game import Game
from pipeline.training.trainer import Checkpoints

TARGETS = {"limit": 0.95, "template": 1.5, "pythae": 1.25}


class Task(NamedTuple):
    """What is trained: a family by its params, on the first items of some data."""

    params: Params
    data: PreparedData

    def family(self) -> Family:
        """Build the family."""
        torch.manual_seed(0)
        return families.build(self.params.family, self.params.family_section.model_dump(), self.data.spec)


@contextmanager
def tasked(root: Path, family: str, size: int, channels: int) -> Iterator[Task]:
    """Run `prepare` in a workspace of its own, at a size, and give the task of a family on what it made."""
    with tempfile.TemporaryDirectory() as name:
        changes = {"family": family, "image.side": size, "image.channels": channels}
        folder = prepared(Path(name), root, changes, ("prepare",))
        yield Task(Params.load(folder), PreparedData.open(folder))


def ours(task: Task, steps: int, skip: int, parts: Parts | None = None) -> float:
    """Return seconds a step through the real training code; `parts` learns where they go."""
    settings = task.params.train.model_copy(update={"epochs": 1})
    params, clock = task.params.model_copy(update={"train": settings}), Clock(skip)
    array = task.data.array("train")[: (steps + skip) * settings.batch_size]
    family, meter = task.family(), parts or Parts()
    places = (
        (Batches, "__iter__", "data"),
        (DataSpec, "scale", "data"),
        (type(family), "loss", "forward"),
        (Game, "manual_backward", "backward"),
        (torch.optim.Adam, "step", "optimiser"),
        (torch.optim.Adam, "zero_grad", "optimiser"),
        (Game, "_move_average", "moving average"),
        (Game, "_note", "metrics"),
        (Game, "flush", "metrics"),
        (Checkpoints, "_save", "checkpoint"),
        (game, "torch_rng", "generators"),
    )
    with meter.of(*places):
        train(family, params, task.data, array, [clock])
    return clock.seconds / steps


def automatic(task: Task) -> str:
    """Return the precision that a training takes here, if it is left to the machine."""
    return environment.precision(task.params.runtime.model_copy(update={"precision": "auto"}))


def things(task: Task, steps: int, skip: int) -> dict[str, Callable[[], float]]:
    """Return what is measured, by name: each gives its seconds a step."""
    batch = task.params.train.batch_size
    array = np.array(task.data.array("train")[: (steps + skip) * batch])
    # what helps by `--helps`: bfloat16 where the processor has it
    limit = ("fused", "bfloat16") if automatic(task) == "bf16-mixed" else ("fused",)
    found: dict[str, Callable[[], float]] = {
        "ours": partial(ours, task, steps, skip),
        "bare": lambda: bare(task.family(), array, batch, skip, ()),
        "limit": lambda: bare(task.family(), array, batch, skip, limit),
        "template": lambda: template(task.family(), array, batch, skip),
    }
    if task.params.family == "vae":
        found["pythae"] = lambda: pythae(task.family(), array, batch, skip)
    return found


def helped(task: Task, steps: int, skip: int) -> dict[str, Callable[[], float]]:
    """Return the bare loop with each thing that might help, by name."""
    batch = task.params.train.batch_size
    array = np.array(task.data.array("train")[: (steps + skip) * batch])

    def loop(helps: Sequence[str]) -> float:
        return bare(task.family(), array, batch, skip, helps)

    quick = automatic(task) == "bf16-mixed"  # or bfloat16 takes some twelve times as long
    chosen = [helps for helps in HELPS if quick or "bfloat16" not in helps]
    return {" and ".join(helps) or "bare": partial(loop, helps) for helps in chosen}


def main() -> None:
    """Measure in turn, and print medians, ratios and shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(families.FAMILIES), default="vae")
    parser.add_argument("--size", type=int, default=32, help="pixels of a side")
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--steps", type=int, default=105)
    parser.add_argument("--skip", type=int, default=5, help="steps before the clock starts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--helps", action="store_true", help="measure what helps a bare loop, and nothing else")
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
        print(f"{each}: {rate} items a second; {first} is {ratio} times as fast{goal}")
    if words.helps:
        return
    shares = ", ".join(f"{part} {seconds / whole:.1%}" for part, seconds in parts.seconds.items())
    print(f"of a step of ours: {shares}, the rest {1 - sum(parts.seconds.values()) / whole:.1%}")


if __name__ == "__main__":
    main()
