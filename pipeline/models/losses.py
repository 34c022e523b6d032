"""What players minimise: the adversarial losses, one for numbers and one for tokens.

A VAE's loss is the evidence lower bound, whose parts are in likelihoods.py and families/vae.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.contents.base import DataSpec, one_hot
from pipeline.models.likelihoods import pick
from pipeline.params.sections import GanParams, GanTokenParams
from pipeline.system.rng import Noise

PENALISED = 1 / 4
"""Share of a batch whose gradients are penalised: a second derivative costs as much as a step."""
SMALLEST = 1e-6
"""Smallest probability of a token that is distinguished from zero."""


@dataclass(frozen=True)
class Losses:
    """What a player's step returns.

    Attributes:
        total: what the player minimises, a mean over the batch with gradient.
        terms: what is logged, means over the batch by name.
    """

    total: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)


class Adversarial(ABC):
    """The losses of a critic and a generator, and what the generator's output says of items."""

    @abstractmethod
    def loss(self, player: str, critic: nn.Module, generator: nn.Module, x: Tensor, z: Tensor, noise: Noise) -> Losses:
        """Return the loss of `critic` or `generator`, the mean over data x (n, *spec.x_shape) and latents z."""

    def decode(self, output: Tensor, u: Tensor | None) -> Tensor:
        """Return the items that the generator's output stands for; u (n, length) are quantiles of tokens."""
        return output

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor | None:
        """Return log p(x | z) in nats, (n,), given the generator's output at z; None without a distribution."""
        return None


class Hinge(Adversarial):
    """The hinge losses of numbers (Lim & Ye 2017; Miyato et al. 2018, eq. 16 and 17)."""

    def loss(self, player: str, critic: nn.Module, generator: nn.Module, x: Tensor, z: Tensor, noise: Noise) -> Losses:
        """Return E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] for the critic, -E[D(G(z))] for the generator."""
        if player == "generator":
            on_samples = critic(generator(z)).float().mean()
            return Losses(-on_samples, {"generator_loss": -on_samples})
        with torch.no_grad():
            samples = generator(z)
        on_data, on_samples = critic(torch.cat([x, samples])).float().split(len(x))
        total = F.relu(1 - on_data).mean() + F.relu(1 + on_samples).mean()
        terms = {"critic_loss": total, "critic_on_data": on_data.mean(), "critic_on_samples": on_samples.mean()}
        return Losses(total, terms)


class Relativistic(Adversarial):
    """The relativistic pairing loss of tokens (Jolicoeur-Martineau 2019, eq. 8), with a gradient penalty."""

    def __init__(self, spec: DataSpec, params: GanTokenParams) -> None:
        """Set the vocabulary, the weight of the penalty, and the temperature at which tokens are drawn."""
        self.vocab_size, self.weight, self.temperature = spec.vocab_size, params.gradient_penalty, params.temperature

    def loss(self, player: str, critic: nn.Module, generator: nn.Module, x: Tensor, z: Tensor, noise: Noise) -> Losses:
        """Return E[softplus(D(G(z)) - D(x))] for the critic, with the difference reversed for the generator.

        The critic's gradients are penalised at data and at samples (Mescheder et al. 2018, eq. 9), which suffices
        (Huang et al. 2024). A penalty between them, as Gulrajani et al. 2017 have it, made a generator of tokens
        collapse to one item.
        """
        if player == "generator":
            with torch.no_grad():
                on_data = critic(x).float()
            total = F.softplus(on_data - critic(self._relaxed(generator(z), noise)).float()).mean()
            return Losses(total, {"generator_loss": total})
        with torch.no_grad():
            samples = self._relaxed(generator(z), noise)
        on_data, on_samples = critic(torch.cat([x, samples])).float().split(len(x))
        loss, slopes = F.softplus(on_samples - on_data).mean(), _squared_gradients(critic, x, samples, noise)
        terms = {"critic_on_data": on_data.mean(), "critic_on_samples": on_samples.mean(), "critic_slopes": slopes}
        return Losses(loss + self.weight * slopes, {"critic_loss": loss, **terms})

    def decode(self, output: Tensor, u: Tensor | None) -> Tensor:
        """Return the probabilities of tokens, or with u the tokens at these quantiles, one-hot."""
        return output if u is None else one_hot(pick(output.log(), u, self.temperature), self.vocab_size)

    def log_prob(self, x: Tensor, output: Tensor) -> Tensor:
        """Return the log probability of tokens, which are independent given z."""
        log_prob: Tensor = (x * output.clamp_min(SMALLEST).log()).sum((1, 2))
        return log_prob

    def _relaxed(self, p: Tensor, noise: Noise) -> Tensor:
        """Return tokens drawn with probabilities p (n, vocab_size, length), with the gradient of relaxed ones.

        The relaxed ones are the softmax of log-probabilities and Gumbel noise (Jang et al. 2017, section 2.2). A critic
        that saw them would recognise samples by their not being corners of the simplex.
        """
        gumbel = -torch.log(-torch.log(noise.uniform(*p.shape).to(p.device)))
        relaxed = (p.clamp_min(SMALLEST).log() + gumbel).softmax(1)
        drawn: Tensor = one_hot(relaxed.argmax(1), self.vocab_size) + relaxed - relaxed.detach()
        return drawn


def _squared_gradients(critic: nn.Module, x: Tensor, samples: Tensor, noise: Noise) -> Tensor:
    """Return E[|grad D|^2] at items plus that at samples, estimated from a random share of the batch."""
    few = torch.nonzero(noise.uniform(len(x)).to(x.device) < PENALISED).squeeze(1)
    points = torch.cat([x[few], samples[few]]).requires_grad_()
    (slope,) = torch.autograd.grad(critic(points).float().sum(), points, create_graph=True)
    return slope.square().sum() / (PENALISED * len(x))


def adversarial(spec: DataSpec, params: GanParams) -> Adversarial:
    """Return the losses for the kind of data that a spec describes."""
    return Relativistic(spec, params.tokens) if spec.kind == "tokens" else Hinge()
