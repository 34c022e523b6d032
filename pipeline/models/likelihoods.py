"""Likelihoods p(x | z), given the decoder's output h (n, channels, *sides)."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.contents.base import DataSpec, one_hot
from pipeline.models.networks.blocks import embedding
from pipeline.params.sections import VaeParams, VaeTokenParams
from pipeline.system.rng import Noise

EMBEDDING = 4
"""Channels of h for each channel of a token's embedding."""


class Likelihood(nn.Module, ABC):
    """A distribution over x given the decoder's output h, which has the shape of x where `channels` is None.

    Attributes:
        exact: whether log p is that of the stored values, so that bits per dimension follow from it.
        channels: number of channels of h.
        free_nats: KL in nats that each dimension of the latent may use at no cost in the loss.
    """

    exact = True
    channels: int | None = None
    free_nats: float = 0.0

    @abstractmethod
    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) in nats, summed over each item's dimensions, (n,)."""

    def objective(self, h: Tensor, x: Tensor, noise: Noise) -> Tensor:
        """Return what training maximises, (n,): log_prob, unless training hides part of x so that z is used."""
        return self.log_prob(h, x)

    @abstractmethod
    def decode(self, h: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the mean of x given z, in [-1, 1]; or tokens, at their quantiles u, or without them the likeliest."""


class Gaussian(Likelihood):
    """A normal around h with one learned standard deviation (Rybkin et al. 2021, eq. 4).

    log_prob is the uniformly dequantised one, E_u[log p(x + u)] + log(bin), with u uniform over a bin; it is a lower
    bound of the integers' log probability (Theis et al. 2016, eq. 6) that has a closed form and keeps the deviation
    from falling below bin / sqrt(12).
    """

    def __init__(self, spec: DataSpec) -> None:
        """Start at a standard deviation of exp(-1), in units of x."""
        super().__init__()
        self.bin = spec.bin_width
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the dequantised log probability."""
        error = (x - h.float()).square().flatten(1)
        squares = error.sum(1) + error.shape[1] * self.bin**2 / 12
        each = math.log(self.bin) - 0.5 * math.log(2 * math.pi) - self.log_sigma
        return each * error.shape[1] - 0.5 * squares * torch.exp(-2 * self.log_sigma)

    def decode(self, h: Tensor, u: Tensor | None = None) -> Tensor:
        """Return h."""
        return h.clamp(-1, 1)


class Logistic(Likelihood):
    """A discretised logistic around h with one learned scale (Kingma et al. 2016, section 6.1): exact on integers."""

    def __init__(self, spec: DataSpec) -> None:
        """Start at a scale of exp(-2), in units of x."""
        super().__init__()
        self.bin = spec.bin_width
        self.log_scale = nn.Parameter(torch.tensor(-2.0))

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log probability of each value's bin; the outermost bins reach to infinity."""
        h, rate = h.float(), torch.exp(-self.log_scale)
        above, below = (x - h + self.bin / 2) * rate, (x - h - self.bin / 2) * rate
        # log(sigmoid(above) - sigmoid(below)), without cancellation
        inside = F.logsigmoid(above) + F.logsigmoid(-below) + torch.log(-torch.expm1(-self.bin * rate))
        low, high = F.logsigmoid(above), F.logsigmoid(-below)
        edge = 1 - self.bin / 2
        return torch.where(x < -edge, low, torch.where(x > edge, high, inside)).flatten(1).sum(1)

    def decode(self, h: Tensor, u: Tensor | None = None) -> Tensor:
        """Return h."""
        return h.clamp(-1, 1)


class Bernoulli(Likelihood):
    """Cross-entropy of intensities in [0, 1] taken as probabilities.

    It is the log likelihood of binary data; of grey values it is a customary loss and no probability (Loaiza-Ganem &
    Cunningham 2019), so no bits per dim are reported.
    """

    exact = False

    def __init__(self, spec: DataSpec) -> None:
        """Nothing to learn."""
        super().__init__()

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return minus the binary cross-entropy, h being logits."""
        return -F.binary_cross_entropy_with_logits(h.float(), (x + 1) / 2, reduction="none").flatten(1).sum(1)

    def decode(self, h: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the probabilities, scaled to [-1, 1]."""
        return 2 * torch.sigmoid(h.float()) - 1


class Categorical(Likelihood):
    """Tokens, each given z and the `context` tokens before it: a neural n-gram (Bengio et al. 2003).

    The latent has to carry what is further back than the context (Chen et al. 2017, section 2). Since training
    hides some of the context, it carries what is near as well.
    """

    def __init__(self, spec: DataSpec, channels: int, params: VaeTokenParams) -> None:
        """Set the channels of h."""
        super().__init__()
        self.channels, self.context, self.params = channels, params.context, params
        self.free_nats = params.free_bits * math.log(2)
        self.vocab_size = spec.vocab_size
        self.embed = embedding(spec.vocab_size, channels // EMBEDDING)
        self.past = nn.Conv1d(channels // EMBEDDING, channels, self.context)
        self.head = nn.Sequential(
            nn.SiLU(),
            nn.Conv1d(channels, channels, 1),
            nn.SiLU(),
            nn.Conv1d(channels, spec.vocab_size, 1),
        )

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return the log probability of tokens (n, vocab_size, length), each given those before it."""
        return self._log_prob(h, x, self.embed(x))

    def objective(self, h: Tensor, x: Tensor, noise: Noise) -> Tensor:
        """Return the log probability with some of the tokens before hidden (Bowman et al. 2016, section 3.1)."""
        seen = noise.uniform(len(x), 1, x.shape[2]).to(x.device) > self.params.word_dropout
        return self._log_prob(h, x, self.embed(x) * seen)

    def _log_prob(self, h: Tensor, x: Tensor, embeddings: Tensor) -> Tensor:
        before = F.pad(embeddings, (self.context, 0))[..., :-1]
        logits = self.head(h + self.past(before)).float()
        log_prob: Tensor = (x * logits.log_softmax(1)).sum((1, 2))
        return log_prob

    @torch.no_grad()
    def decode(self, h: Tensor, u: Tensor | None = None) -> Tensor:
        """Return tokens one after the other, one-hot (n, vocab_size, length)."""
        n, _, length = h.shape
        embeddings = h.new_zeros(n, self.embed.out_channels, self.context + length)
        tokens = torch.zeros(n, length, dtype=torch.long, device=h.device)
        for t in range(length):
            logits = self.head(h[..., t : t + 1] + self.past(embeddings[..., t : t + self.context]))[..., 0].float()
            tokens[:, t] = pick(logits, None if u is None else u[:, t], self.params.temperature)
            embeddings[..., self.context + t] = self.embed.weight[:, tokens[:, t], 0].T
        return one_hot(tokens, self.vocab_size)


def pick(logits: Tensor, u: Tensor | None, temperature: float) -> Tensor:
    """Return tokens (n, ...) of logits (n, vocab_size, ...): those at the quantiles u (n, ...), or the likeliest."""
    if u is None or not temperature:
        return logits.argmax(1)
    cumulated = (logits.double() / temperature).softmax(1).cumsum(1)
    return (cumulated < u.to(logits.device)[:, None]).sum(1).clamp(max=logits.shape[1] - 1)


LIKELIHOODS: dict[str, type[Gaussian] | type[Logistic] | type[Bernoulli]] = {
    "gaussian": Gaussian,
    "logistic": Logistic,
    "bernoulli": Bernoulli,
}


def build(spec: DataSpec, params: VaeParams) -> Likelihood:
    """Return the likelihood for the kind of data that a spec describes: of tokens, or the one named for numbers."""
    if spec.kind == "tokens":
        return Categorical(spec, params.width, params.tokens)
    return LIKELIHOODS[params.likelihood](spec)
