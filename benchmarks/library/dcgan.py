"""A plain DCGAN (Radford et al. 2016): its layers, optimiser and initial weights, with batches as large as ours."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from library.trained import Pixels, Trained, pixels
from pipeline.data.prepared import PreparedData
from pipeline.system.rng import torch_rng

BATCH = 64


def dcgan_networks(data: PreparedData, latent_dim: int, width: int) -> tuple[nn.Module, nn.Module]:
    """Return the generator and the critic, with transposed convolutions and batch normalisation."""
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
    """Train the DCGAN for so many seconds by cross-entropy, critic and generator in turn."""
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
