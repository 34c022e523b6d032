"""Family `gan`: the generative adversarial network (Goodfellow et al. 2014), hinge loss, spectral norm.

Tokens are drawn from what the generator says of each, with a relaxed gradient, and their game is a relativistic one.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.contents.base import DataSpec, one_hot
from pipeline.models import networks
from pipeline.models.families.base import Family, Losses, OptimiserSettings
from pipeline.models.likelihoods import pick
from pipeline.system import progress
from pipeline.system.rng import Noise

PROJECTION_RATE = 0.1
PENALISED = 1 / 4
"""Share of a batch whose slopes are penalised, which takes a second derivative, and costs as much as a step."""
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
        """Return the hinge losses (Lim & Ye 2017; Miyato et al. 2018, eq. 16 and 17), of tokens relativistic ones.

        The critic's is E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))], the generator's is -E[D(G(z))].
        """
        z = noise(len(x), self.latent_dim).to(x.device)
        if self.spec.vocab_size:
            return self._relativistic(player, x, z, noise)
        if player == "generator":
            on_samples = self.critic(self.generator(z)).float().mean()
            return Losses(-on_samples, {"generator_loss": -on_samples})
        with torch.no_grad():
            samples = self.generator(z)
        on_data, on_samples = self.critic(torch.cat([x, samples])).float().split(len(x))
        total = F.relu(1 - on_data).mean() + F.relu(1 + on_samples).mean()
        terms = {"critic_loss": total, "critic_on_data": on_data.mean(), "critic_on_samples": on_samples.mean()}
        return Losses(total, terms)

    def _relativistic(self, player: str, x: Tensor, z: Tensor, noise: Noise) -> Losses:
        """Return E[softplus(D(G(z)) - D(x))] for the critic, with the difference reversed for the generator.

        The loss is that of pairs (Jolicoeur-Martineau 2019, eq. 8). The critic's slopes are penalised at data and at
        samples (Mescheder et al. 2018, eq. 9), which Huang et al. 2024 show to suffice; those between, as Gulrajani
        et al. 2017 have it, left a generator of tokens with one item.
        """
        if player == "generator":
            with torch.no_grad():
                on_data = self.critic(x).float()
            total = F.softplus(on_data - self.critic(self._relaxed(z, noise)).float()).mean()
            return Losses(total, {"generator_loss": total})
        with torch.no_grad():
            samples = self._relaxed(z, noise)
        on_data, on_samples = self.critic(torch.cat([x, samples])).float().split(len(x))
        loss, slopes = F.softplus(on_samples - on_data).mean(), self._slopes(x, samples, noise)
        terms = {"critic_on_data": on_data.mean(), "critic_on_samples": on_samples.mean(), "critic_slopes": slopes}
        return Losses(loss + self.penalty * slopes, {"critic_loss": loss, **terms})

    def _relaxed(self, z: Tensor, noise: Noise) -> Tensor:
        """Return tokens drawn from the generator's distribution, whose gradient is that of relaxed ones.

        These are the softmax of log-probabilities and Gumbel noise (Jang et al. 2017, section 2.2): a critic that saw
        them would tell them from data by their being no corners of the simplex.
        """
        p = self.generator(z)
        gumbel = -torch.log(-torch.log(noise.uniform(*p.shape).to(p.device)))
        relaxed = (p.clamp_min(SMALLEST).log() + gumbel).softmax(1)
        drawn: Tensor = one_hot(relaxed.argmax(1), self.spec.vocab_size) + relaxed - relaxed.detach()
        return drawn

    def _slopes(self, x: Tensor, samples: Tensor, noise: Noise) -> Tensor:
        """Return E[|grad D|^2] at items plus that at samples, estimated from a random share of the batch."""
        few = torch.nonzero(noise.uniform(len(x)).to(x.device) < PENALISED).squeeze(1)
        points = torch.cat([x[few], samples[few]]).requires_grad_()
        (slope,) = torch.autograd.grad(self.critic(points).float().sum(), points, create_graph=True)
        return slope.square().sum() / (PENALISED * len(x))

    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw from N(0, I)."""
        return torch.randn(n, self.latent_dim, generator=rng)

    def decode(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the generator's samples; of tokens their probabilities, or those at the quantiles u."""
        x: Tensor = self.generator(z)
        if u is None:
            return x
        return one_hot(pick(x.log(), u, self.temperature), self.spec.vocab_size)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Return log p(x | z) in nats, (n,), of the tokens that z stands for, each by itself."""
        if not self.spec.vocab_size:
            return None
        with torch.no_grad():
            log_prob: Tensor = (x * self.generator(z).clamp_min(SMALLEST).log()).sum((1, 2))
        return log_prob

    def project(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the latents whose samples are nearest to given items in squared error, by Adam from seeded starts."""
        starts = self.projection_starts
        target = x.repeat(starts, *[1] * (x.dim() - 1))
        z = self.latents(starts * len(x), rng).to(x.device).requires_grad_()
        optimiser = torch.optim.Adam([z], lr=PROJECTION_RATE)
        for step in progress.bar(
            range(self.projection_steps + 1), desc="project", leave=False, delay=1.0, mininterval=1.0
        ):
            distance = (self.decode(z) - target).square().flatten(1).mean(1)
            if step == self.projection_steps:
                break
            (z.grad,) = torch.autograd.grad(distance.sum(), [z])
            optimiser.step()
        nearest = distance.view(starts, -1).argmin(0)
        return z.detach().view(starts, len(x), -1)[nearest, torch.arange(len(x))]
