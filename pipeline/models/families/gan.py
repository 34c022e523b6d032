"""Family `gan`: the generative adversarial network (Goodfellow et al. 2014), with spectral norm.

The losses of its players depend on the kind of data: models/losses.py.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from pipeline.contents.base import DataSpec
from pipeline.models import losses, networks
from pipeline.models.families.base import Batch, Family, OptimiserSettings
from pipeline.models.losses import Losses
from pipeline.params.sections import GanParams
from pipeline.system import progress
from pipeline.system.rng import Noise

PROJECTION_RATE = 0.1
"""Learning rate of the search for a latent."""


class Generator(nn.Module):
    """Latents to items."""

    def __init__(self, spec: DataSpec, latent_dim: int, width: int, blocks: int) -> None:
        """Set the sizes."""
        super().__init__()
        self.spec, self.decoder = spec, networks.decoder(spec, latent_dim, width, blocks)

    def forward(self, z: Tensor) -> Tensor:
        """Return (n, *spec.x_shape)."""
        return self.spec.squash(self.decoder(z))


class Gan(Family):
    """Two players: the critic separates data from samples, the generator raises the critic's value of its samples."""

    Params = GanParams
    players: ClassVar[tuple[str, ...]] = ("critic", "generator")
    training_only: ClassVar[tuple[str, ...]] = ("critic",)

    def __init__(self, spec: DataSpec, params: GanParams) -> None:
        """Build both networks; the critic has half the generator's width."""
        super().__init__(spec, params)
        self.params, self.adversarial = params, losses.adversarial(spec, params)
        self.critic = networks.critic(spec, max(1, params.width // 2), params.blocks)
        self.generator = Generator(spec, params.latent_dim, params.width, params.blocks)

    def optimiser(self, player: str) -> OptimiserSettings:
        """Return Adam's settings: no first moment, as is customary where the other player moves."""
        rates = {"critic": self.params.critic_learning_rate, "generator": self.params.learning_rate}
        return OptimiserSettings(rates[player], betas=(0.0, 0.99))

    def loss(self, player: str, batch: Batch, noise: Noise, progress: float) -> Losses:
        """Return the adversarial loss of a player: hinge for numbers, relativistic for tokens."""
        x = batch.items
        z = noise(len(x), self.params.latent_dim).to(x.device)
        return self.adversarial.loss(player, self.critic, self.generator, x, z, noise)

    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw from N(0, I)."""
        return torch.randn(n, self.params.latent_dim, generator=rng)

    def decode(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the generator's samples; of tokens their probabilities, or those at the quantiles u."""
        return self.adversarial.decode(self.generator(z), u)

    @torch.no_grad()
    def log_prob(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Return log p(x | z) in nats, (n,), of tokens, which are independent given z; None for numbers."""
        return self.adversarial.log_prob(x, self.generator(z))

    def project(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the latents whose samples are nearest to items in squared error, found by Adam from seeded starts."""
        starts = self.params.projection_starts
        target = x.repeat(starts, *[1] * (x.dim() - 1))
        z = self.latents(starts * len(x), rng).to(x.device).requires_grad_()
        optimiser = torch.optim.Adam([z], lr=PROJECTION_RATE)
        for step in progress.bar(
            range(self.params.projection_steps + 1), desc="project", leave=False, delay=1.0, mininterval=1.0
        ):
            distance = (self.decode(z) - target).square().flatten(1).mean(1)
            if step == self.params.projection_steps:
                break
            (z.grad,) = torch.autograd.grad(distance.sum(), [z])
            optimiser.step()
        nearest = distance.view(starts, -1).argmin(0)
        return z.detach().view(starts, len(x), -1)[nearest, torch.arange(len(x))]
