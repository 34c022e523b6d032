"""The Trainer: progress, signals, and checkpoints from which a training resumes."""

from __future__ import annotations

import logging
import os
import signal
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytorch_lightning as pl
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.strategies import DDPStrategy, Strategy

from pipeline.data.batches import Batches
from pipeline.models.families.base import Family
from pipeline.params import RuntimeParams
from pipeline.system import distributed, progress
from pipeline.system.errors import TrainingError
from pipeline.training import checkpoints, environment
from pipeline.training.checkpoint_io import SafetensorsIO
from pipeline.training.module import FLUSH, FamilyModule

PATIENCE = 10.0
"""Seconds in which a step and its checkpoint must be done after a signal, less than `processes.GRACE`."""


class Progress(pl.Callback):
    """Shows a progress bar with the metrics that were logged last."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar at the step from which the training resumes."""
        assert isinstance(module, FamilyModule)
        self.bar = progress.bar(total=module.steps, initial=module.done, desc="train", unit=" steps")

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        """Advance by a step."""
        assert isinstance(module, FamilyModule)
        if module.done % FLUSH == 0:
            metrics = trainer.callback_metrics.items()
            self.bar.set_postfix({name: f"{float(value):.4g}" for name, value in metrics}, refresh=False)
        self.bar.update()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar if it is open, so that an error begins on a new line."""
        with suppress(AttributeError):
            self.bar.close()


class OwnSignals(pl.Callback):
    """Restores the program's signal handlers, and delays those that end it until the current step is saved.

    Lightning's own handlers wait for other processes, and end with exit code 0, a success.
    """

    def __init__(self) -> None:
        """Remember the handlers from before Lightning's."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        self.handlers = {number: signal.getsignal(number) for number in numbers}
        self.asked: int | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Restore them, except those that end the program."""
        for number, handler in self.handlers.items():
            ends = number != signal.SIGUSR1 and callable(handler)
            signal.signal(number, self._note if ends else handler)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Restore all of them."""
        self._put_back()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Restore all of them."""
        self._put_back()

    def leave(self) -> None:
        """End the program by the signal that it received, or by SIGTERM if another process received one."""
        self._put_back()
        os.kill(os.getpid(), self.asked or signal.SIGTERM)

    def _note(self, number: int, _: object) -> None:
        if self.asked is None:
            self.asked = number
            signal.signal(signal.SIGALRM, lambda *_: self.leave())
            signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def _put_back(self) -> None:
        if signal.getsignal(signal.SIGTERM) == self._note:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in self.handlers.items():
                signal.signal(number, handler)


class Checkpoints(pl.Callback):
    """Saves a checkpoint at an interval in seconds, at the end of each epoch, and before a signal ends the training.

    It must be the last callback. `settled` receives the step of the oldest checkpoint: no training resumes before it.
    """

    def __init__(self, folder: Path, seconds: float, signals: OwnSignals, settled: Callable[[int], None]) -> None:
        """Set the folder, the interval in seconds, and who receives signals and the oldest step."""
        self.folder, self.seconds, self.signals, self.settled = folder, seconds, signals, settled
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        """Save if the interval is over; after an epoch's last step, `on_train_epoch_end` saves instead."""
        assert isinstance(module, FamilyModule)
        # clocks differ between processes, and all have to take part
        due = bool(self.signals.asked) or time.monotonic() - self.saved >= self.seconds
        due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if due or trainer.is_last_batch:
            module.flush()
        if due and not trainer.is_last_batch:
            self._save(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save."""
        assert isinstance(module, FamilyModule)
        self._save(trainer, module)

    def _save(self, trainer: pl.Trainer, module: FamilyModule) -> None:
        module.check()
        trainer.save_checkpoint(self.folder, weights_only=False)
        self.settled(min(map(checkpoints.steps, checkpoints.saved(self.folder)), default=0))
        self.saved = time.monotonic()
        if trainer.strategy.reduce_boolean_decision(bool(self.signals.asked), all=False):
            self.signals.leave()


def fit(
    module: FamilyModule,
    batches: Batches,
    runtime: RuntimeParams,
    folder: Path,
    callbacks: Sequence[pl.Callback] = (),
    settled: Callable[[int], None] = lambda step: None,
) -> Family:
    """Train to the last step, from the newest checkpoint in a folder, and return the averaged family on the CPU.

    Raises:
        TrainingError: a loss was not finite, no checkpoint is whole or one cannot be written, a process of several
            was lost, or the training ended before its last step.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    # Lightning expects batches to start from the first, but these follow from the number of steps
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
    newest = checkpoints.newest(folder)
    distributed.launch(runtime.devices, runtime.nodes)
    signals = OwnSignals()
    try:
        trainer = pl.Trainer(
            accelerator=runtime.accelerator,
            devices=runtime.devices,
            num_nodes=runtime.nodes,
            strategy=_strategy(runtime, len(module.family.players)),
            precision=environment.precision(runtime),
            max_epochs=module.settings.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
            plugins=[SafetensorsIO(module.hold)],
            callbacks=[
                signals,
                *([Progress()] if distributed.leads() else []),
                *callbacks,
                Checkpoints(folder, runtime.checkpoint_seconds, signals, settled),
            ],
        )
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise TrainingError(f"params.yaml: runtime asks for what this machine has not ({error})") from error
    with distributed.together():
        trainer.fit(module, batches, ckpt_path=str(newest) if newest else None)
    if module.done < module.steps:
        raise TrainingError(
            f"training stopped at step {module.done} of {module.steps}; run it again to resume from there"
        )
    return module.average.cpu()


def _strategy(runtime: RuntimeParams, players: int) -> Strategy | str:
    """Return the strategy; with several players, a step leaves the weights of the others without gradients."""
    if runtime.processes == 1:
        return "auto"
    return DDPStrategy(find_unused_parameters=players > 1)
