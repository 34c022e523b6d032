"""The train stage's code on a family and data of a benchmark's own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytorch_lightning as pl
from numpy.typing import NDArray

from pipeline import tracking
from pipeline.data.batches import Batches
from pipeline.data.prepared import PreparedData
from pipeline.models.families.base import Family
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.tracking import store
from pipeline.training.game import Game
from pipeline.training.resume import Resumable
from pipeline.training.trainer import fit


def train(
    family: Family, params: Params, data: PreparedData, array: NDArray[Any], callbacks: Sequence[pl.Callback]
) -> None:
    """Train on an array, with metrics to a fresh SQLite store and checkpoints to a fresh folder.

    The store is fresh also where the user named another, which benchmarks have no business in.
    """
    about = SavedModel(params.family, params.content, {"train": params.train.model_dump()}, data.digest)
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, DVC_ROOT=folder),
        mock.patch.object(store, "STORE", None),
    ):
        work = Resumable("benchmark")
        with work.alone(), tracking.start(about, data, params.runtime, work) as run:
            batches = Batches(array, params.train.batch_size, params.seed, lambda: played.done)
            played = Game(family, params.train, len(batches), params.seed)
            played.log_metrics = run.metrics
            fit(played, batches, params.runtime, work.checkpoints, callbacks, run.settled)
