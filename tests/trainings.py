"""Small trainings, complete or interrupted, for the tests of resuming."""

import pytest
import pytorch_lightning as pl
import torch

from pipeline.data.batches import Batches
from pipeline.params import RuntimeParams, TrainParams
from pipeline.training.checkpoint_io import SafetensorsIO
from pipeline.training.checkpoints import newest
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import fit

ITEMS, BATCH, EPOCHS = 24, 16, 3
PER_EPOCH = 2
SETTINGS = TrainParams(epochs=EPOCHS, batch_size=BATCH, warmup_steps=2, cooldown=0.5, ema=0.9)
EVERY_STEP, EVERY_EPOCH = 1e-6, 86_400
RUNTIME = RuntimeParams(accelerator="cpu", devices=1, nodes=1, precision="32-true", checkpoint_seconds=EVERY_EPOCH)


class Stopped(BaseException):
    """Simulates a kill of the process."""


class StopAfter(pl.Callback):
    """Simulates a kill after a step, and after the checkpoint of that step if one is due."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, module, *_):
        if module.done == self.step:
            raise Stopped

    def on_train_end(self, trainer, module):
        self.on_train_batch_start(trainer, module)


def train(
    toy,
    name,
    folder,
    seconds=EVERY_EPOCH,
    callbacks=(),
    settings=SETTINGS,
    log=None,
    settled=None,
    precision="32-true",
    **changes,
):
    """Train a family, or resume from the newest checkpoint, and return the game and the averaged weights."""
    batches = Batches(toy.items(ITEMS), settings.batch_size, 0, lambda: game.done)
    game = FamilyModule(toy.family(name, **changes), settings, len(batches), 0)
    game.log_metrics = log
    runtime = RUNTIME.model_copy(update={"checkpoint_seconds": seconds, "precision": precision})
    family = fit(game, batches, runtime, folder, list(callbacks), settled or (lambda step: None))
    return game, family.state_dict()


def stopped(toy, name, folder, step, seconds=EVERY_STEP, **words):
    with pytest.raises(Stopped):
        train(toy, name, folder, seconds, [StopAfter(step)], **words)


def load(folder):
    return SafetensorsIO().load_checkpoint(newest(folder))


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


class End(pl.Callback):
    """Ends the training early, by a function of the trainer."""

    def __init__(self, how):
        self.how = how

    def on_train_batch_start(self, trainer, module, *_):
        if module.done == PER_EPOCH + 1:
            self.how(trainer)
