"""p(x | z): what a decoder's output says of integer data that were scaled to [-1, 1]."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn

from pipeline.contents.base import DataSpec


class Likelihood(nn.Module, ABC):
    """A distribution over x given a decoder's output h, which has the shape of x.

    Attributes:
        exact: whether log p is that of the stored integers, so that bits per dim can be told from it.
    """

    exact = True

    @abstractmethod
    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return log p(x | z) in nats, summed over each item's dimensions, (n,)."""

    @abstractmethod
    def mean(self, h: Tensor) -> Tensor:
        """Return the mean of x given z, in [-1, 1]."""


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

    def mean(self, h: Tensor) -> Tensor:
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

    def mean(self, h: Tensor) -> Tensor:
        """Return h."""
        return h.clamp(-1, 1)


class Bernoulli(Likelihood):
    """Cross-entropy of intensities in [0, 1] taken as probabilities.

    It is the log likelihood of binary data; of grey values it is a customary loss and no probability (Loaiza-Ganem &
    Cunningham 2019), so bits per dim are not told.
    """

    exact = False

    def __init__(self, spec: DataSpec) -> None:
        """Nothing to learn."""
        super().__init__()

    def log_prob(self, h: Tensor, x: Tensor) -> Tensor:
        """Return minus the binary cross-entropy, h being logits."""
        return -F.binary_cross_entropy_with_logits(h.float(), (x + 1) / 2, reduction="none").flatten(1).sum(1)

    def mean(self, h: Tensor) -> Tensor:
        """Return the probabilities, scaled to [-1, 1]."""
        return 2 * torch.sigmoid(h.float()) - 1


LIKELIHOODS: dict[str, type[Gaussian] | type[Logistic] | type[Bernoulli]] = {
    "gaussian": Gaussian,
    "logistic": Logistic,
    "bernoulli": Bernoulli,
}
