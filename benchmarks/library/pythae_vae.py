"""pythae's VAE and trainer, with its own networks for quality.py and with ours for throughput.py."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import Tensor

from library.trained import Pixels, Trained, pixels
from pipeline.data.prepared import PreparedData
from pipeline.models.families.base import Family
from pipeline.system.rng import torch_rng


class TimeUp(Exception):  # noqa: N818 - it ends a training that has had its time
    """Ends a training whose time is up."""


class Limit(TrainingCallback):
    """Ends training after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds

    def on_train_step_end(self, training_config: object, **_: object) -> None:
        if time.perf_counter() > self.end:
            raise TimeUp


class Watch(TrainingCallback):
    """Measures the seconds from a step to the end of training."""

    def __init__(self, skip: int) -> None:
        self.skip, self.done, self.begin, self.end = skip, 0, 0.0, 0.0

    def on_train_step_end(self, training_config: object, **_: object) -> None:
        self.done += 1
        if self.done == self.skip:
            self.begin = time.perf_counter()

    def on_train_end(self, training_config: object, **_: object) -> None:
        self.end = time.perf_counter()


class Encoder(BaseEncoder):
    """An encoder of ours, as pythae takes one."""

    def __init__(self, network: torch.nn.Module) -> None:
        BaseEncoder.__init__(self)
        self.network = network

    def forward(self, x: Tensor) -> Any:
        mu, logvar = self.network(x).chunk(2, dim=1)
        return ModelOutput(embedding=mu, log_covariance=logvar)


class Decoder(BaseDecoder):
    """A decoder of ours, as pythae takes one."""

    def __init__(self, network: torch.nn.Module) -> None:
        BaseDecoder.__init__(self)
        self.network = network

    def forward(self, z: Tensor) -> Any:
        return ModelOutput(reconstruction=self.network(z))


def pythae(family: Family, array: Pixels, batch: int, skip: int) -> float:
    """Train the networks of our VAE by pythae's trainer and loss, and return seconds a step; arguments as of `bare`."""
    networks: Any = family.autoencoder
    config = VAEConfig(input_dim=family.spec.shape, latent_dim=networks.encoder[-1].out_features // 2)
    model, watch = VAE(config, encoder=Encoder(networks.encoder), decoder=Decoder(networks.decoder)), Watch(skip)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(output_dir=folder, num_epochs=1, per_device_train_batch_size=batch)
        TrainingPipeline(model=model, training_config=settings)(train_data=array / np.float32(255), callbacks=[watch])
    return (watch.end - watch.begin) / (watch.done - skip)


def autoencoder(data: PreparedData, latent_dim: int, seconds: float, seed: int) -> Trained:
    """Train pythae's VAE for so many seconds as its documentation does, with its defaults."""
    torch.manual_seed(seed)
    config = VAEConfig(input_dim=data.spec.shape, latent_dim=latent_dim)
    model = VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))
    train = np.asarray(data.array("train")) / np.float32(255)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(output_dir=folder, num_epochs=10_000, seed=seed)
        run = TrainingPipeline(model=model, training_config=settings)
        begin = time.perf_counter()
        try:
            run(train_data=train, callbacks=[Limit(seconds)])
        except TimeUp:
            taken = time.perf_counter() - begin
    model.eval()

    @torch.no_grad()
    def sample(n: int) -> Pixels:
        z = torch.randn(n, latent_dim, generator=torch_rng(0, "sample"))
        return np.concatenate([pixels(model.decoder(some)["reconstruction"]) for some in z.split(500)])

    @torch.no_grad()
    def reconstruct(array: Pixels) -> Pixels:
        codes = (model.encoder(x)["embedding"] for x in _pieces(array))
        return np.concatenate([pixels(model.decoder(mu)["reconstruction"]) for mu in codes])

    return Trained(taken, sample, reconstruct)


def _pieces(array: Pixels) -> Iterator[Tensor]:
    for start in range(0, len(array), 500):
        yield torch.from_numpy(np.array(array[start : start + 500])).float() / 255
