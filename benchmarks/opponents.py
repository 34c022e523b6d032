"""Models of others, trained for so many seconds: pythae's VAE as its documentation does it, and a plain DCGAN.

The DCGAN has the layers, the optimiser and the first convolutions of Radford et al. 2016, and batches as large as ours.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from pipeline.data.prepared import PreparedData
from pipeline.system.rng import torch_rng

BATCH = 64
Pixels = NDArray[np.uint8]


class TimeUp(Exception):  # noqa: N818 - no error
    """Ends a training that would go on."""


@dataclass(frozen=True)
class Trained:
    """What scoring needs of a model: how long it was trained, samples, and reconstructions if it has any.

    `normal` draws samples from N(0, I), where `sample` does not.
    """

    seconds: float
    sample: Callable[[int], Pixels]
    reconstruct: Callable[[Pixels], Pixels] | None = None
    normal: Callable[[int], Pixels] | None = None


def pixels(x: Tensor) -> Pixels:
    """Return values in [0, 1] as they are stored."""
    return (x.clamp(0, 1) * 255).round().byte().numpy()


def pieces(array: Pixels) -> Iterator[Tensor]:
    """Yield a stored array in [0, 1], some items at a time."""
    for start in range(0, len(array), 500):
        yield torch.from_numpy(np.array(array[start : start + 500])).float() / 255


def autoencoder(data: PreparedData, latent_dim: int, seconds: float, seed: int) -> Trained:
    """Train pythae's VAE as its documentation does, with its defaults."""
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    torch.manual_seed(seed)

    class Validation(TrainingCallback):
        def on_train_step_end(self, training_config: object, **_: object) -> None:
            if time.perf_counter() - begin > seconds:
                raise TimeUp

    config = VAEConfig(input_dim=data.spec.shape, latent_dim=latent_dim)
    model = VAE(config, encoder=Encoder_Conv_VAE_MNIST(config), decoder=Decoder_Conv_AE_MNIST(config))
    train = np.asarray(data.array("train")) / np.float32(255)
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(output_dir=folder, num_epochs=10_000, seed=seed)
        run = TrainingPipeline(model=model, training_config=settings)
        begin = time.perf_counter()
        try:
            run(train_data=train, callbacks=[Validation()])
        except TimeUp:
            taken = time.perf_counter() - begin
    model.eval()

    @torch.no_grad()
    def sample(n: int) -> Pixels:
        z = torch.randn(n, latent_dim, generator=torch_rng(0, "sample"))
        return np.concatenate([pixels(model.decoder(some)["reconstruction"]) for some in z.split(500)])

    @torch.no_grad()
    def reconstruct(array: Pixels) -> Pixels:
        codes = (model.encoder(x)["embedding"] for x in pieces(array))
        return np.concatenate([pixels(model.decoder(mu)["reconstruction"]) for mu in codes])

    return Trained(taken, sample, reconstruct)


def dcgan_networks(data: PreparedData, latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Return a generator and a critic with transposed convolutions and batch normalisation."""
    channels, side = data.spec.shape[0], data.spec.shape[1]
    coarse = side // 4
    up = partial(nn.ConvTranspose2d, kernel_size=4, stride=2, padding=1, bias=False)
    down = partial(nn.Conv2d, kernel_size=4, stride=2, padding=1, bias=False)
    generator = nn.Sequential(
        nn.Unflatten(1, (latent_dim, 1, 1)),
        nn.ConvTranspose2d(latent_dim, 2 * width, coarse, bias=False),
        *[nn.BatchNorm2d(2 * width), nn.ReLU()],
        up(2 * width, width),
        *[nn.BatchNorm2d(width), nn.ReLU()],
        up(width, channels),
        nn.Tanh(),
    )
    critic = nn.Sequential(
        down(channels, width),
        nn.LeakyReLU(0.2),
        down(width, 2 * width),
        *[nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2)],
        nn.Conv2d(2 * width, 1, coarse, bias=False),
        nn.Flatten(0),
    )
    for layer in [*generator.modules(), *critic.modules()]:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0, 0.02)
    return generator, critic


def dcgan(data: PreparedData, seconds: float, seed: int, latent_dim: int = 100, width: int = 64) -> Trained:
    """Train a DCGAN by cross-entropy, its critic and its generator in turn."""
    torch.manual_seed(seed)
    generator, critic = dcgan_networks(data, latent_dim, width)
    first, second = (torch.optim.Adam(each.parameters(), 2e-4, betas=(0.5, 0.999)) for each in (critic, generator))
    array, begin, order = torch.from_numpy(np.array(data.array("train"))), time.perf_counter(), iter(())
    with tqdm(total=round(seconds), desc="DCGAN", unit="s") as bar:
        while (taken := time.perf_counter() - begin) < seconds:
            bar.update(int(taken) - bar.n)
            chosen = next(order, None)
            if chosen is None:
                order = iter(torch.randperm(len(array)).split(BATCH))
                continue
            x = array[chosen].float() / 127.5 - 1
            made = generator(torch.randn(len(x), latent_dim))
            _step(first, F.softplus(-critic(x)).mean() + F.softplus(critic(made.detach())).mean())
            _step(second, F.softplus(-critic(made)).mean())
    generator.eval()

    @torch.no_grad()
    def sample(n: int) -> Pixels:
        z = torch.randn(n, latent_dim, generator=torch_rng(0, "sample"))
        return np.concatenate([pixels((generator(some) + 1) / 2) for some in z.split(500)])

    return Trained(taken, sample)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
