"""The LightningModule, which trains any family in one process or in several."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from pipeline.data.batches import Share
from pipeline.models.families.base import Batch, Family
from pipeline.models.losses import Losses
from pipeline.params import TrainParams
from pipeline.system import tensors
from pipeline.system.errors import TrainingError
from pipeline.system.rng import Noise, torch_rng
from pipeline.system.validation import say
from pipeline.training.curves import Curves, Metrics

FLUSH = 50
"""Steps between two calls of `log_metrics`."""


class Held(BaseModel):
    """A part of a checkpoint whose types are checked."""

    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True)


class Moments(Held):
    """The state of a player's Adam for each of its weights, by number."""

    state: dict[int, dict[str, Tensor]]


class Checkpoint(Held):
    """The entries of a checkpoint that are checked: Lightning's, and this module's own."""

    version: str = Field(alias="pytorch-lightning_version", pattern=r"^\d+(\.\d+)+")
    state_dict: dict[str, Tensor]
    optimizer_states: list[Moments]
    lr_schedulers: list[Any]
    callbacks: dict[str, Any]
    loops: dict[str, dict[str, Any]]
    done: int
    curves: dict[str, dict[int, tuple[float, int]]]


class FamilyModule(pl.LightningModule):
    """Trains a family: at each step, every player in turn takes a step of Adam on its own loss.

    `average` is the moving average of the family's weights, with a decay of min(ema, (1 + s) / (10 + s)) at step s.
    """

    log_metrics: Callable[[Metrics], None] | None = None
    """Receives the metrics of all steps, in the process that logs."""

    def __init__(self, family: Family, settings: TrainParams, steps_per_epoch: int, seed: int) -> None:
        """Set the family, the settings, the number of steps of an epoch, and the seed."""
        super().__init__()
        self.automatic_optimization = False
        self.family, self.average = family, copy.deepcopy(family).requires_grad_(False)
        # to collect them from the modules takes half a millisecond, too much for every step
        self.weights = {player: list(family.get_submodule(player).parameters()) for player in family.players}
        self.average_weights: list[Tensor] = list(self.average.parameters())
        self.family_weights: list[Tensor] = list(family.parameters())
        self.buffers_of_both: list[tuple[Tensor, Tensor]] = []
        self.settings, self.seed = settings, seed
        self.steps = settings.epochs * steps_per_epoch
        self.curves = Curves(steps_per_epoch)
        self.done = 0
        self.pending: list[tuple[str, Tensor, int]] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return a fused Adam for each player."""
        found: list[torch.optim.Optimizer] = []
        for player in self.family.players:
            chosen = self.family.optimiser(player)  # `hold` knows the state of this optimiser, too
            found.append(torch.optim.Adam(self.weights[player], chosen.learning_rate, chosen.betas, fused=True))
        return found

    def on_train_start(self) -> None:
        """Collect the buffers, which moved to the device."""
        self.buffers_of_both = list(zip(self.average.buffers(), self.family.buffers(), strict=True))

    def training_step(self, share: Share, index: int) -> None:
        """Take a step with every player on this process's share of the batch, then update the average."""
        batch = Batch(self.family.spec.scale(share.items), share.labels)
        optimisers: Any = self.optimizers(use_pl_optimizer=True)
        for place, player in enumerate(self.family.players):
            optimiser = optimisers[place] if len(self.family.players) > 1 else optimisers
            for group in optimiser.param_groups:
                group["lr"] = self.family.optimiser(player).learning_rate * self._schedule()
            noise = Noise(torch_rng(self.seed, "noise", self.done, place), share.first, share.whole)
            self.toggle_optimizer(optimiser)  # so that no gradients are computed for the other players
            losses = self.family.loss(player, batch, noise, self.done / self.steps)
            self._note(player, losses, share.own / share.whole)
            optimiser.zero_grad()
            # DDP averages gradients over processes, whose shares may differ in size
            self.manual_backward(losses.total * (share.own * self.trainer.world_size / share.whole))
            optimiser.step()
            self.untoggle_optimizer(optimiser)
        self._move_average()
        self.done += 1
        if self.done % FLUSH == 0:
            self.flush()

    def _note(self, player: str, losses: Losses, weight: float) -> None:
        """Keep the metrics of the whole batch, of which this process has a share of a weight.

        Raises:
            TrainingError: the loss is not finite, as all processes see it.
        """
        whole = weight * torch.stack([losses.total, *losses.terms.values()]).detach()
        if self.trainer.world_size > 1:
            dist.all_reduce(whole)
        if not torch.isfinite(whole[0]):
            raise TrainingError(
                f"the loss of {player} is {whole[0].item()} at step {self.done}; "
                "the last good checkpoint is kept; lower its learning rate, or look at the data"
            )
        metrics = zip(losses.terms, whole[1:], strict=True)
        self.pending += [(f"train/{name}", value, self.done) for name, value in metrics]

    def flush(self) -> None:
        """Log the metrics of the steps since the last call."""
        metrics = [(name, float(value), step) for name, value, step in self.pending]
        self.pending.clear()
        if metrics:
            last = metrics[-1][2]
            shown = {name.removeprefix("train/"): value for name, value, step in metrics if step == last}
            self.log_dict(shown, logger=False)
            self.record(metrics)

    def record(self, metrics: Metrics) -> None:
        """Add metrics to the curves, and log them."""
        self.curves.add(metrics)
        if self.log_metrics:
            self.log_metrics(metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the number of steps, which determines the order of the data and the noise, and the curves."""
        checkpoint["done"], checkpoint["curves"] = self.done, self.curves.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the number of steps and the curves."""
        self.done = checkpoint["done"]
        self.curves.load(checkpoint["curves"])

    def hold(self, checkpoint: Any) -> None:
        """Refuse a tree that is not a checkpoint of this training.

        Raises:
            ValueError: the reason.
        """
        try:
            found = Checkpoint.model_validate(checkpoint)
        except ValidationError as error:
            raise ValueError(say(error.errors()[0], Checkpoint)) from error
        if not 0 <= found.done <= self.steps:
            raise ValueError(f"done is {found.done}, of {self.steps} steps")
        tensors.assert_alike(found.state_dict, self.state_dict())
        tensors.assert_finite(found.state_dict)
        for player, moments in zip(self.family.players, found.optimizer_states, strict=True):
            for number, kept in moments.state.items():
                weight, step = self.weights[player][number], torch.tensor(0.0)
                tensors.assert_alike(kept, {"step": step, "exp_avg": weight, "exp_avg_sq": weight})
                tensors.assert_finite(kept)

    def check(self) -> None:
        """Refuse weights that are not finite, before they are saved.

        Raises:
            TrainingError: a loss was finite, but not its gradient.
        """
        if not all(weights.isfinite().all() for weights in self.average.parameters()):
            raise TrainingError(
                f"weights are not finite at step {self.done}; the last good checkpoint is kept; lower the learning rate"
            )

    def _schedule(self) -> float:
        """Return the factor of the peak learning rate: a linear rise, a plateau, a linear fall to 0."""
        rise = (self.done + 1) / max(1, self.settings.warmup_steps)
        left = (self.steps - self.done) / self.steps
        return min(1.0, rise, left / self.settings.cooldown if self.settings.cooldown else 1.0)

    @torch.no_grad()
    def _move_average(self) -> None:
        decay = min(self.settings.ema, (1 + self.done) / (10 + self.done))
        torch._foreach_lerp_(self.average_weights, self.family_weights, 1 - decay)
        for ours, theirs in self.buffers_of_both:
            ours.copy_(theirs)
