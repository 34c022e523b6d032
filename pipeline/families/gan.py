"""Family `gan`: the generative adversarial network (Goodfellow et al. 2014), hinge loss, spectral norm.

Tokens are relaxed: the generator makes points of the simplex, and the critic is held to a slope between them and data.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn
from tqdm import tqdm

from pipeline import networks
from pipeline.contents.base import DataSpec, one_hot
from pipeline.families.base import Family, Losses, OptimiserSettings
from pipeline.likelihoods import pick
from pipeline.rng import Noise

PROJECTION_RATE = 0.1
PENALISED = 1 / 8
"""Share of a batch whose slopes are penalised: the penalty takes a second derivative, and costs as much as a step."""
SMALLEST = 1e-6
"""Probability of a token that counts as none."""


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
    """A game of two: the critic tells data from samples, the generator raises the critic's value of its samples."""

    players: ClassVar[tuple[str, ...]] = ("critic", "generator")
    training_only: ClassVar[tuple[str, ...]] = ("critic",)

    def __init__(
        self,
        spec: DataSpec,
        latent_dim: int,
        width: int,
        blocks: int,
        learning_rate: float,
        critic_learning_rate: float,
        projection_steps: int,
        projection_starts: int,
        penalty: float,
        temperature: float,
    ) -> None:
        """Set what params.yaml's section `gan` holds."""
        super().__init__(spec)
        self.latent_dim = latent_dim
        self.learning_rates = {"critic": critic_learning_rate, "generator": learning_rate}
        self.projection_steps, self.projection_starts = projection_steps, projection_starts
        self.penalty, self.temperature = penalty, temperature
        self.critic = networks.critic(spec, max(1, width // 2), blocks)
        self.generator = Generator(spec, latent_dim, width, blocks)

    def optimiser(self, player: str) -> OptimiserSettings:
        """Return Adam's settings: no first moment, as is customary where the other player moves."""
        return OptimiserSettings(self.learning_rates[player], betas=(0.0, 0.99))

    def loss(self, player: str, x: Tensor, noise: Noise, progress: float) -> Losses:
        """Return the hinge losses (Lim & Ye 2017; Miyato et al. 2018, eq. 16 and 17).

        The critic's is E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], the generator's is -E[D(G(z))].
        """
        z = noise(len(x), self.latent_dim).to(x.device)
        if player == "generator":
            on_samples = self.critic(self.generator(z)).float().mean()
            return Losses(-on_samples, {"generator_loss": -on_samples})
        with torch.no_grad():
            samples = self.generator(z)
        on_data, on_samples = self.critic(torch.cat([x, samples])).float().split(len(x))
        total = F.relu(1 - on_data).mean() + F.relu(1 + on_samples).mean()
        terms = {"critic_loss": total, "critic_on_data": on_data.mean(), "critic_on_samples": on_samples.mean()}
        if self.spec.vocab_size:
            terms["penalty"] = self._penalty(x, samples, noise)
            total = total + self.penalty * terms["penalty"]
        return Losses(total, terms)

    def _penalty(self, x: Tensor, samples: Tensor, noise: Noise) -> Tensor:
        """Return E[(|grad D| - 1)^2] at points between items and samples (Gulrajani et al. 2017, eq. 3).

        It is estimated from a random share of the batch.
        """
        chosen, at = noise(len(x), 2).mul_(0.5**0.5).erf_().add_(1).div_(2).to(x.device).unbind(1)
        few = torch.nonzero(chosen < PENALISED).squeeze(1)
        between = torch.lerp(samples[few], x[few], at[few].view(-1, *[1] * (x.dim() - 1))).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(between).float().sum(), between, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().sum() / (PENALISED * len(x))

    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw from N(0, I)."""
        return torch.randn(n, self.latent_dim, generator=rng)

    def decode(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the generator's samples; of tokens relaxed ones, or those at the quantiles u where there is chance."""
        if u is None or not self.temperature:
            return self.generator(z)  # type: ignore[no-any-return]
        return one_hot(pick(self.generator(z).log(), u, self.temperature), self.spec.vocab_size)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Return log p(x | z) in nats, (n,), of the tokens that z stands for, each by itself."""
        if not self.spec.vocab_size:
            return None
        with torch.no_grad():
            return (x * self.generator(z).clamp_min(SMALLEST).log()).sum((1, 2))

    def project(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the latents whose samples are nearest to given items in squared error, by Adam from seeded starts."""
        starts = self.projection_starts
        target = x.repeat(starts, *[1] * (x.dim() - 1))
        z = self.latents(starts * len(x), rng).to(x.device).requires_grad_()
        optimiser = torch.optim.Adam([z], lr=PROJECTION_RATE)
        for step in tqdm(range(self.projection_steps + 1), desc="project", leave=False, delay=1.0, mininterval=1.0):
            distance = (self.decode(z) - target).square().flatten(1).mean(1)
            if step == self.projection_steps:
                break
            (z.grad,) = torch.autograd.grad(distance.sum(), [z])
            optimiser.step()
        nearest = distance.view(starts, -1).argmin(0)
        return z.detach().view(starts, len(x), -1)[nearest, torch.arange(len(x))]
