"""What people would train with instead: a plain loop, the usual template of Lightning, pythae's trainer.

Each takes a family, stored items (n, *shape) that it goes through once, the size of a batch, and how many steps pass
before the clock starts; it returns seconds a step.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_lightning.loggers import MLFlowLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from pipeline.models.families.base import UNLABELLED, Batch, Family
from pipeline.models.networks.grid import Critic, Decoder, Encoder
from pipeline.system.rng import Noise, torch_rng

Pixels = NDArray[np.uint8]
HELPS = [each for n in range(5) for each in combinations(("fused", "channels_last", "compiled", "bfloat16"), n)]
"""What might help a loop, alone and together."""


class Clock(pl.Callback):
    """Notes when the first step of interest begins, and when training ends, with the checkpoint after its last step."""

    def __init__(self, skip: int) -> None:
        self.skip, self.begin, self.seconds = skip, 0.0, 0.0

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: object, index: int) -> None:
        if index == self.skip:
            self.begin = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self.seconds = time.perf_counter() - self.begin


def adam(family: Family, player: str, *, fused: bool = False) -> torch.optim.Optimizer:
    """Return a player's Adam."""
    chosen, weights = family.optimiser(player), family.get_submodule(player).parameters()
    return torch.optim.Adam(weights, chosen.learning_rate, chosen.betas, fused=fused or None)


def bare(family: Family, array: Pixels, batch: int, skip: int, helps: Sequence[str] = ()) -> float:
    """Gather batches from memory and step Adam, and do nothing else."""
    if "channels_last" in helps:
        family.to(memory_format=torch.channels_last)
    if "compiled" in helps:
        for module in family.modules():
            if isinstance(module, Encoder | Decoder | Critic):
                module.compile()
    players = {player: adam(family, player, fused="fused" in helps) for player in family.players}
    weights = {player: list(family.get_submodule(player).parameters()) for player in players}
    data, order, rng = torch.from_numpy(array), torch.randperm(len(array)), torch_rng(0, "bare")
    steps, labels = len(array) // batch, torch.full((batch,), UNLABELLED)
    for step in range(steps):
        if step == skip:
            begin = time.perf_counter()
        x = family.spec.scale(data[order[step * batch : (step + 1) * batch]])
        for player, optimiser in players.items():
            for other in players if len(players) > 1 else ():
                for each in weights[other]:
                    each.requires_grad_(other == player)
            with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in helps):
                loss = family.loss(player, Batch(x, labels), Noise(rng), 0.5).total
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return (time.perf_counter() - begin) / (steps - skip)


class Images(Dataset[Tensor]):
    """Items as torchvision's own datasets give them: an image, transformed."""

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
    """A family as Lightning's examples would have it: each player's optimiser toggled, its losses logged."""

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
    """Train with Lightning, a DataLoader with two workers, and MLFlowLogger, each with its defaults otherwise."""
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


def pythae(family: Family, array: Pixels, batch: int, skip: int) -> float:
    """Train pythae's VAE, with a VAE's networks, by its own trainer and loss."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    networks: Any = family.autoencoder

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            BaseEncoder.__init__(self)
            self.network = networks.encoder

        def forward(self, x: Tensor) -> Any:
            mu, logvar = self.network(x).chunk(2, dim=1)
            return ModelOutput(embedding=mu, log_covariance=logvar)

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            BaseDecoder.__init__(self)
            self.network = networks.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.network(z))

    class Validation(TrainingCallback):
        done, begin, end = 0, 0.0, 0.0

        def on_train_step_end(self, training_config: object, **_: object) -> None:
            self.done += 1
            if self.done == skip:
                self.begin = time.perf_counter()

        def on_train_end(self, training_config: object, **_: object) -> None:
            self.end = time.perf_counter()

    watch = Validation()
    latent_dim = networks.encoder[-1].out_features // 2
    model = VAE(VAEConfig(input_dim=family.spec.shape, latent_dim=latent_dim), encoder=Encoder(), decoder=Decoder())
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(output_dir=folder, num_epochs=1, per_device_train_batch_size=batch)
        TrainingPipeline(model=model, training_config=settings)(train_data=array / np.float32(255), callbacks=[watch])
    return (watch.end - watch.begin) / (watch.done - skip)
