"""Validation during training: metrics on val, and pictures of samples from fixed latents."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from pipeline.data.batches import scaled
from pipeline.data.prepared import PreparedData
from pipeline.models import storage
from pipeline.system.rng import torch_rng
from pipeline.tracking import Training
from pipeline.training.module import FamilyModule

MOST = 2000
"""Items of val that are scored after every epoch, at most."""
SHOWN, COLUMNS = 64, 16
PAIRS = 16


class Validation(pl.Callback):
    """Scores the averaged model on val after every epoch, and logs samples and, if amortised, reconstructions.

    The first pictures, at step 0, show the untrained model; MLflow's slider starts there. The `/` in their names gives
    them a section of their own on the run's page.
    """

    def __init__(self, run: Training, data: PreparedData, seed: int) -> None:
        """Set the run to log to, the data and the seed."""
        self.run, self.content, self.seed = run, data.content, seed
        self.val = data.array("val")[:MOST]

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log pictures of the untrained model."""
        assert isinstance(module, FamilyModule)
        if module.done == 0:
            self._show(module, 0)

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Log metrics and pictures of the model after this epoch."""
        assert isinstance(module, FamilyModule)
        batches = scaled(self.val, self.content.spec, module.device)
        metrics = module.average.eval().score(batches, torch_rng(self.seed, "watch"))
        metrics |= storage.bits(module.average, metrics, self.content, self.val)
        module.record([(f"val/{name}", float(value.mean()), module.done - 1) for name, value in metrics.items()])
        self._show(module, trainer.current_epoch + 1)

    @torch.no_grad()
    def _show(self, module: FamilyModule, epoch: int) -> None:
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
