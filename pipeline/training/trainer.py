"""What makes a training go on where it stopped: checkpoints, and the Trainer that plays a game to its end."""

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
from pipeline.training.game import FLUSH, Game

PATIENCE = 10.0
"""Seconds that a step and its checkpoint may take once the training is to end, within `processes.GRACE`."""


class Progress(pl.Callback):
    """Shows how far the training is, with the metrics of the last steps that were handed over."""

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Begin where the training goes on."""
        assert isinstance(module, Game)
        self.bar = progress.bar(total=module.steps, initial=module.done, desc="train", unit=" steps")

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        """Move on by a step."""
        assert isinstance(module, Game)
        if module.done % FLUSH == 0:
            metrics = trainer.callback_metrics.items()
            self.bar.set_postfix({name: f"{float(value):.4g}" for name, value in metrics}, refresh=False)
        self.bar.update()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Close the bar."""
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Close the bar, if there is one by then, so that what is said stands on a line of its own."""
        with suppress(AttributeError):
            self.bar.close()


class OwnSignals(pl.Callback):
    """Leaves signals to the program, and has those that end it wait until a step is whole and saved, for some seconds.

    Lightning's handlers wait for other processes, and end with code 0, a success.
    """

    def __init__(self) -> None:
        """Keep the handlers that are there before Lightning's."""
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        self.handlers = {number: signal.getsignal(number) for number in numbers}
        self.asked: int | None = None

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Put them back, but for those that end the program."""
        for number, handler in self.handlers.items():
            ends = number != signal.SIGUSR1 and callable(handler)
            signal.signal(number, self._note if ends else handler)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Put all of them back."""
        self._put_back()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Put all of them back."""
        self._put_back()

    def leave(self) -> None:
        """End the program by the signal that asked for it; where another process was asked, by SIGTERM."""
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
    """Saves the training every so many seconds, at each epoch's end, and before it is ended by a signal.

    The callbacks before it come first. `settled` is told which step no checkpoint goes back behind.
    """

    def __init__(self, folder: Path, seconds: float, signals: OwnSignals, settled: Callable[[int], None]) -> None:
        """Set where, how often, who knows of signals, and who is told."""
        self.folder, self.seconds, self.signals, self.settled = folder, seconds, signals, settled
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: object) -> None:
        """Save when it is time; after its last step an epoch lacks what its end adds, so that one waits."""
        assert isinstance(module, Game)
        # clocks differ between processes, and all have to take part
        due = bool(self.signals.asked) or time.monotonic() - self.saved >= self.seconds
        due = trainer.strategy.reduce_boolean_decision(due, all=False)
        if due or trainer.is_last_batch:
            module.flush()
        if due and not trainer.is_last_batch:
            self._save(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save."""
        assert isinstance(module, Game)
        self._save(trainer, module)

    def _save(self, trainer: pl.Trainer, module: Game) -> None:
        module.check()
        trainer.save_checkpoint(self.folder, weights_only=False)
        self.settled(min(map(checkpoints.steps, checkpoints.saved(self.folder)), default=0))
        self.saved = time.monotonic()
        if trainer.strategy.reduce_boolean_decision(bool(self.signals.asked), all=False):
            self.signals.leave()


def fit(
    game: Game,
    batches: Batches,
    runtime: RuntimeParams,
    folder: Path,
    callbacks: Sequence[pl.Callback] = (),
    settled: Callable[[int], None] = lambda step: None,
) -> Family:
    """Train until the last step, from the newest checkpoint in a folder, and return the averaged family on the CPU.

    Raises:
        TrainingError: a loss was not finite, no checkpoint is whole or one cannot be written, a process of several
            was lost, or the training ended before its last step.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    # Lightning takes it that batches begin anew, which these do not: which they are follows from the count of steps
    warnings.filterwarnings("ignore", "You're resuming from a checkpoint that ended before the epoch ended")
    newest = checkpoints.newest(folder)
    distributed.launch(runtime.devices, runtime.nodes)
    signals = OwnSignals()
    try:
        trainer = pl.Trainer(
            accelerator=runtime.accelerator,
            devices=runtime.devices,
            num_nodes=runtime.nodes,
            strategy=_strategy(runtime, len(game.family.players)),
            precision=environment.precision(runtime),
            max_epochs=game.settings.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
            plugins=[SafetensorsIO(game.hold)],
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
        trainer.fit(game, batches, ckpt_path=str(newest) if newest else None)
    if game.done < game.steps:
        raise TrainingError(f"training stopped at step {game.done} of {game.steps}; run it again to go on from there")
    return game.average.cpu()


def _strategy(runtime: RuntimeParams, players: int) -> Strategy | str:
    """Return how processes share the work; a player's step leaves the other players' weights without gradients."""
    if runtime.processes == 1:
        return "auto"
    return DDPStrategy(find_unused_parameters=players > 1)
