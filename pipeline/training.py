"""The one LightningModule, which plays any game, and what makes a training go on where it stopped."""

from __future__ import annotations

import copy
import logging
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.utilities.exceptions import SIGTERMException
from torch import Tensor

from pipeline.batches import Batches
from pipeline.checkpoints import SafetensorsIO
from pipeline.errors import TrainingError
from pipeline.families.base import Family
from pipeline.figures import Curves, Figures
from pipeline.params import RuntimeParams, TrainParams
from pipeline.rng import torch_rng

FLUSH = 50
"""Steps between two hand-overs of figures."""


class Game(pl.LightningModule):
    """Plays a family's game: at each step every player in turn takes a step of Adam on its own loss.

    `average` is the moving average of the family's weights, with a decay of min(ema, (1 + s) / (10 + s)) at step s.
    """

    def __init__(
        self, family: Family, settings: TrainParams, steps_per_epoch: int, seed: int, log: Callable[[Figures], None]
    ) -> None:
        """Set the family, how long an epoch is, and who is told the figures of each step."""
        super().__init__()
        self.automatic_optimization = False
        self.family, self.average = family, copy.deepcopy(family).requires_grad_(False)
        self.settings, self.seed, self.log_figures = settings, seed, log
        self.steps = settings.epochs * steps_per_epoch
        self.curves = Curves(steps_per_epoch)
        self.done = 0
        self.pending: list[tuple[str, Tensor, int]] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one fused Adam a player."""
        found: list[torch.optim.Optimizer] = []
        for player in self.family.players:
            chosen = self.family.optimiser(player)
            weights = self.family.get_submodule(player).parameters()
            found.append(torch.optim.Adam(weights, chosen.learning_rate, chosen.betas, fused=True))
        return found

    def on_fit_start(self) -> None:
        """Lay weights out as convolutions on a GPU want them; on a CPU that costs more than it gains."""
        if self.device.type == "cuda":
            self.family.to(memory_format=torch.channels_last)

    def training_step(self, batch: Tensor, index: int) -> None:
        """Let every player take a step, then move the average."""
        x = self.family.spec.scale(batch)
        optimisers: Any = self.optimizers(use_pl_optimizer=True)
        for place, player in enumerate(self.family.players):
            optimiser = optimisers[place] if len(self.family.players) > 1 else optimisers
            for group in optimiser.param_groups:
                group["lr"] = self.family.optimiser(player).learning_rate * self._schedule()
            rng = torch_rng(self.seed, "noise", self.done, place)
            with _alone(self.family, player):
                losses = self.family.loss(player, x, rng, self.done / self.steps)
                if not torch.isfinite(losses.total):
                    raise TrainingError(
                        f"the loss of {player} is {losses.total.item()} at step {self.done}; "
                        "the last good checkpoint is kept; lower its learning rate, or look at the data"
                    )
                optimiser.zero_grad()
                self.manual_backward(losses.total)
                optimiser.step()
            self.pending += [(f"train/{name}", value.detach(), self.done) for name, value in losses.terms.items()]
        self._move_average()
        self.done += 1
        if self.done % FLUSH == 0:
            self.flush()

    def flush(self) -> None:
        """Hand over the figures of the steps since the last time."""
        figures = [(name, float(value), step) for name, value, step in self.pending]
        self.pending.clear()
        if figures:
            last = figures[-1][2]
            shown = {name.removeprefix("train/"): value for name, value, step in figures if step == last}
            self.log_dict(shown, prog_bar=True, logger=False)
            self.tell(figures)

    def tell(self, figures: Figures) -> None:
        """Hand figures to whoever logs them, and to the curves."""
        self.curves.add(figures)
        self.log_figures(figures)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of steps, from which the order of the data and the noise follow, and the curves so far."""
        checkpoint["done"], checkpoint["curves"] = self.done, self.curves.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on from the count of steps."""
        self.done = checkpoint["done"]
        self.curves.load(checkpoint["curves"])

    def check(self) -> None:
        """Refuse weights that are not finite, before they are kept.

        Raises:
            TrainingError: a loss was finite, and yet its gradient was not.
        """
        if not all(weights.isfinite().all() for weights in self.average.parameters()):
            raise TrainingError(
                f"weights are not finite at step {self.done}; the last good checkpoint is kept; lower the learning rate"
            )

    def _schedule(self) -> float:
        """Return the share of the peak learning rate: a linear rise, a plateau, a linear fall to 0."""
        rise = (self.done + 1) / max(1, self.settings.warmup_steps)
        left = (self.steps - self.done) / self.steps
        return min(1.0, rise, left / self.settings.cooldown if self.settings.cooldown else 1.0)

    @torch.no_grad()
    def _move_average(self) -> None:
        decay = min(self.settings.ema, (1 + self.done) / (10 + self.done))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.family.parameters()), 1 - decay)
        for ours, theirs in zip(self.average.buffers(), self.family.buffers(), strict=True):
            ours.copy_(theirs)


class Checkpoints(pl.Callback):
    """Saves the training every so many seconds and at each epoch's end, after the callbacks before it."""

    def __init__(self, path: Path, seconds: float) -> None:
        """Set where, and how often."""
        self.path, self.seconds, self.saved = path, seconds, time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Save when it is time; after its last step an epoch lacks what its end adds, so that one waits."""
        assert isinstance(module, Game)
        due = time.monotonic() - self.saved >= self.seconds
        if due or trainer.is_last_batch:
            module.flush()
        if due and not trainer.is_last_batch:
            self._save(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save."""
        self._save(trainer, module)

    def _save(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Game)
        module.check()
        trainer.save_checkpoint(self.path, weights_only=False)
        self.saved = time.monotonic()


def fit(
    game: Game,
    batches: Batches,
    runtime: RuntimeParams,
    checkpoint: Path,
    callbacks: list[pl.Callback],
) -> Family:
    """Train until the last step, from the checkpoint if there is one, and return the averaged family on the CPU.

    Raises:
        TrainingError: a loss was not finite, or the training ended before its last step.
    """
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    try:
        trainer = pl.Trainer(
            accelerator=runtime.accelerator,
            devices=runtime.devices,
            precision=runtime.precision,
            max_epochs=game.settings.epochs,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            plugins=[SafetensorsIO()],
            callbacks=[TQDMProgressBar(FLUSH), *callbacks, Checkpoints(checkpoint, runtime.checkpoint_seconds)],
        )
    except (MisconfigurationException, ValueError) as error:
        raise TrainingError(f"params.yaml: runtime asks for what this machine has not ({error})") from error
    try:
        trainer.fit(game, batches, ckpt_path=str(checkpoint) if checkpoint.exists() else None)
    except SIGTERMException as error:
        # Lightning's own exit has code 0, which DVC takes for success
        raise SystemExit(128 + signal.SIGTERM) from error
    if game.done < game.steps:
        raise TrainingError(f"training stopped at step {game.done} of {game.steps}; run it again to go on from there")
    return game.average.cpu()


@contextmanager
def _alone(family: Family, player: str) -> Iterator[None]:
    """Let the weights of one player alone take gradients, so that none are computed for the others."""
    others = [family.get_submodule(name) for name in family.players if name != player]
    for module in others:
        module.requires_grad_(False)
    try:
        yield
    finally:
        for module in others:
            module.requires_grad_(True)
