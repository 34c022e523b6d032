"""The train stage's code on a family and data that a benchmark chooses."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from library.workspaces import prepared
from pipeline import tracking
from pipeline.data.batches import Batches
from pipeline.data.prepared import PreparedData
from pipeline.models import families
from pipeline.models.families.base import Family
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.tracking import store
from pipeline.training import environment
from pipeline.training.module import FamilyModule
from pipeline.training.resume import Resumable
from pipeline.training.trainer import fit


class Clock(pl.Callback):
    """Measures the seconds from a step to the end of training, the checkpoint after the last step included."""

    def __init__(self, skip: int) -> None:
        self.skip, self.begin, self.seconds = skip, 0.0, 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, index: int) -> None:
        if index == self.skip:
            self.begin = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds = time.perf_counter() - self.begin


def train(
    family: Family, params: Params, data: PreparedData, array: NDArray[Any], callbacks: Sequence[pl.Callback]
) -> None:
    """Train on an array, with metrics to a fresh SQLite store and checkpoints to a fresh folder.

    The tracking store that the user may have configured is left alone.
    """
    about = SavedModel(params.family, params.content, params.of_model, data.digest)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, DVC_ROOT=folder),
        mock.patch.object(store, "STORE", None),
    ):
        work = Resumable("benchmark")
        with work.alone(), tracking.start(about, data, params.runtime, work) as run:
            batches = Batches(array, params.train.batch_size, params.seed, lambda: played.done)
            played = FamilyModule(family, params.train, len(batches), params.seed)
            played.log_metrics = run.metrics
            fit(played, batches, params.runtime, work.checkpoints, callbacks, run.settled)


class Task(NamedTuple):
    """A family, by its params, and the prepared data to train it on."""

    params: Params
    data: PreparedData

    def family(self) -> Family:
        """Build the family, with the same initial weights each time."""
        torch.manual_seed(0)
        return families.build(self.params.family, self.params.family_section.model_dump(), self.data.spec)

    def array(self, steps: int) -> NDArray[Any]:
        """Return as many items of train as so many steps take, mapped from disk."""
        return self.data.array("train")[: steps * self.params.train.batch_size]

    @property
    def multiplies_bfloat16(self) -> bool:
        """Whether `runtime.precision: auto` trains with bfloat16 here; where not, it is about twelve times slower."""
        runtime = self.params.runtime.model_copy(update={"precision": "auto"})
        return environment.precision(runtime) == "bf16-mixed"


@contextmanager
def tasked(root: Path, family: str, size: int, channels: int) -> Iterator[Task]:
    """Run `prepare` for images of a size in a workspace of its own, and yield a family's task there."""
    with tempfile.TemporaryDirectory() as name:
        changes = {"family": family, "image.side": size, "image.channels": channels}
        folder = prepared(Path(name), root, changes, ("prepare",))
        yield Task(Params.load(folder), PreparedData.open(folder))
