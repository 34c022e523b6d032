"""What a person watches while a model learns: metrics on val, and pictures whose latents stay the same."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from pipeline.data.batches import scaled
from pipeline.data.prepared import PreparedData
from pipeline.models import storage
from pipeline.system.rng import torch_rng
from pipeline.tracking import Training
from pipeline.training.game import Game

MOST = 2000
"""Items of val that are scored after every epoch."""
SHOWN, COLUMNS = 64, 16
PAIRS = 16


class Validation(pl.Callback):
    """Scores the averaged model on val after every epoch, and logs samples and, where cheap, reconstructions.

    The pictures begin with those of the untrained model, at step 0, which is where MLflow's slider stands at first; the
    `/` in their names gives them a section of their own on the run's page.
    """

    def __init__(self, run: Training, data: PreparedData, seed: int) -> None:
        """Set where to log, and the data."""
        self.run, self.content, self.seed = run, data.content, seed
        self.val = data.array("val")[:MOST]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log what the model makes before it has learnt anything."""
        assert isinstance(module, Game)
        if module.done == 0:
            self._show(module, 0)

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Log what the model is like by now."""
        assert isinstance(module, Game)
        batches = scaled(self.val, self.content.spec, module.device)
        metrics = module.average.eval().score(batches, torch_rng(self.seed, "watch"))
        metrics |= storage.bits(module.average, metrics, self.content, self.val)
        module.record([(f"val/{name}", float(value.mean()), module.done - 1) for name, value in metrics.items()])
        self._show(module, trainer.current_epoch + 1)

    @torch.no_grad()
    def _show(self, module: Game, epoch: int) -> None:
        family, spec = module.average.eval(), self.content.spec
        samples = spec.quantise(family.sample(SHOWN, self.seed))
        self.run.image(self.content.show(self.content.decode(samples), COLUMNS), "pictures/samples", epoch)
        if family.amortised:
            x = self.val[:PAIRS]
            x_hat = spec.quantise(
                family.reconstruct(next(scaled(x, spec, module.device)), torch_rng(self.seed, "watch"))
            )
            pairs = [*self.content.decode(x), *self.content.decode(x_hat)]
            self.run.image(self.content.show(pairs, PAIRS), "pictures/reconstructions", epoch)
