"""The usual template of Lightning, which people could train with instead of the pipeline."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import MLFlowLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from library.loops import Pixels, adam
from library.training import Clock
from pipeline.contents.base import UNLABELLED
from pipeline.models.families.base import Batch, Family
from pipeline.system.rng import Noise, torch_rng


class Images(Dataset[Tensor]):
    """Items as torchvision's datasets return them: an image, transformed."""

    def __init__(self, array: Pixels) -> None:
        self.array = array.transpose(0, 2, 3, 1)
        half = [0.5] * array.shape[1]
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(half, half)])

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, i: int) -> Tensor:
        item = self.array[i]
        x: Tensor = self.transform(Image.fromarray(item[..., 0] if item.shape[2] == 1 else item))
        return x


class Template(pl.LightningModule):
    """A family in the style of Lightning's examples: each network's optimiser toggled, its losses logged."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.family, self.noise = family, Noise(torch_rng(0, "template"))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [adam(self.family, player) for player in self.family.players]

    def training_step(self, x: Tensor, index: int) -> None:
        found: Any = self.optimizers()
        for player, optimiser in zip(self.family.players, found if isinstance(found, list) else [found], strict=True):
            self.toggle_optimizer(optimiser)
            losses = self.family.loss(player, Batch(x, torch.full((len(x),), UNLABELLED)), self.noise, 0.5)
            self.log_dict(losses.terms, prog_bar=True)
            optimiser.zero_grad()
            self.manual_backward(losses.total)
            optimiser.step()
            self.untoggle_optimizer(optimiser)


def template(family: Family, array: Pixels, batch: int, skip: int) -> float:
    """Train one epoch and return seconds a step; arguments as of `bare`.

    Lightning, a DataLoader with two workers and MLFlowLogger have their defaults otherwise.
    """
    clock, loader = Clock(skip), DataLoader(Images(array), batch, shuffle=True, num_workers=2)
    with tempfile.TemporaryDirectory() as folder:
        logger = MLFlowLogger(tracking_uri=f"sqlite:///{Path(folder) / 'mlflow.db'}")
        trainer = pl.Trainer(
            max_epochs=1,
            logger=logger,
            default_root_dir=folder,
            callbacks=[clock, pl.callbacks.ModelCheckpoint(Path(folder) / "checkpoints")],
            enable_model_summary=False,
        )
        trainer.fit(Template(family), loader)
    return clock.seconds / (len(loader) - skip)
