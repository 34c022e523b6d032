"""What a person watches while a model learns: figures on val, and pictures whose latents stay the same."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from pipeline.artefacts import PreparedData
from pipeline.batches import scaled
from pipeline.game import Game
from pipeline.rng import torch_rng
from pipeline.tracking import Training

MOST = 2000
"""Items of val that are scored after every epoch."""
SHOWN, COLUMNS = 64, 16
PAIRS = 16


class Watch(pl.Callback):
    """After every epoch, scores the averaged model on val, and logs samples and, where cheap, reconstructions."""

    def __init__(self, run: Training, data: PreparedData, seed: int) -> None:
        """Set where to log, and the data."""
        self.run, self.content, self.seed = run, data.content, seed
        self.val = data.array("val")[:MOST]

    @torch.no_grad()
    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Log what the model is like by now."""
        assert isinstance(module, Game)
        family, spec, epoch = module.average, self.content.spec, trainer.current_epoch + 1
        family.eval()
        figures = family.score(scaled(self.val, spec, module.device), torch_rng(self.seed, "watch"))
        module.tell([(f"val/{name}", float(value.mean()), module.done - 1) for name, value in figures.items()])
        samples = spec.quantise(family.sample(SHOWN, self.seed))
        self.run.image(self.content.show(self.content.decode(samples), COLUMNS), "samples", epoch)
        if family.amortised:
            x = self.val[:PAIRS]
            x_hat = spec.quantise(
                family.reconstruct(next(scaled(x, spec, module.device)), torch_rng(self.seed, "watch"))
            )
            pairs = [*self.content.decode(x), *self.content.decode(x_hat)]
            self.run.image(self.content.show(pairs, PAIRS), "reconstructions", epoch)
