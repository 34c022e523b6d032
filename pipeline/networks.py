"""Networks on grids: an encoder to a vector, a decoder from one, a critic to one number.

All begin or end with patches, since convolutions at full resolution cost most and add least. Normalisation is
GroupNorm: it has no state over batches, so results do not depend on how a batch is split.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch.nn.functional as F  # noqa: N812 - its name everywhere
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pipeline.contents.base import DataSpec

COARSEST = 8
"""Sides are halved until none is longer."""
GROUP = 8
"""Channels that are normalised together."""

Wrap = Callable[[nn.Module], nn.Module]


def sides(side: int, patch: int) -> list[int]:
    """Return the side after the patches and after each halving, rounded up: 28 in patches of 4 gives [7]."""
    found = [-(-side // patch)]
    while found[-1] > COARSEST:
        found.append(-(-found[-1] // 2))
    return found


def widths(width: int, count: int) -> list[int]:
    """Return the channels at each resolution: doubled with each halving, up to four times."""
    return [width * min(4, 2**i) for i in range(count)]


def _norm(channels: int) -> nn.Module:
    return nn.GroupNorm(channels // GROUP, channels)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity (He et al. 2016), activation first."""

    def __init__(self, channels: int, *, norm: bool = True, wrap: Wrap = lambda module: module) -> None:
        """Set the channels; `wrap` is applied to each convolution."""
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [_norm(channels)] if norm else []
            layers += [nn.SiLU(), wrap(nn.Conv2d(channels, channels, 3, padding=1))]
        self.body = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        """Return features of the same shape."""
        return h + self.body(h)  # type: ignore[no-any-return]


class Patches(nn.Module):
    """Cut squares of `patch` pixels into channels; what a side lacks to a whole number of them repeats its edge."""

    def __init__(self, patch: int) -> None:
        """Set the side of a patch, in pixels."""
        super().__init__()
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels * patch**2, height / patch, width / patch)."""
        bottom, right = (-x.shape[-2]) % self.patch, (-x.shape[-1]) % self.patch
        if bottom or right:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        return F.pixel_unshuffle(x, self.patch)


class Up(nn.Module):
    """Enlarge by `factor` with a convolution and a pixel shuffle (Shi et al. 2016), and crop to the target's side."""

    def __init__(self, channels: int, to: int, factor: int, target: tuple[int, int]) -> None:
        """Set the channels before and after, and the sides after."""
        super().__init__()
        self.factor, self.target = factor, target
        self.conv = nn.Conv2d(channels, to * factor**2, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Return (n, to, *target)."""
        height, width = self.target
        return F.pixel_shuffle(self.conv(h), self.factor)[..., :height, :width]


class _Shape:
    """Sides and channels at each resolution, finest first."""

    def __init__(self, spec: DataSpec, width: int, patch: int) -> None:
        self.channels, height, breadth = spec.shape
        tall, wide = sides(height, patch), sides(breadth, patch)
        count = max(len(tall), len(wide))
        self.sides = [(tall[min(i, len(tall) - 1)], wide[min(i, len(wide) - 1)]) for i in range(count)]
        self.widths = widths(width, count)
        self.flat = self.widths[-1] * self.sides[-1][0] * self.sides[-1][1]


class Encoder(nn.Sequential):
    """Items (n, channels, height, width) to vectors (n, size)."""

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int, patch: int) -> None:
        """Set the sizes; `blocks` residual blocks stand on the coarsest grid."""
        shape = _Shape(spec, width, patch)
        coarse = shape.widths[-1]
        layers: list[nn.Module] = [Patches(patch), nn.Conv2d(shape.channels * patch**2, width, 3, padding=1)]
        for fine, coarser in pairwise(shape.widths):
            layers += [_norm(fine), nn.SiLU(), nn.Conv2d(fine, coarser, 3, stride=2, padding=1)]
        layers += [Residual(coarse) for _ in range(blocks)]
        layers += [_norm(coarse), nn.SiLU(), nn.Flatten(), nn.Linear(shape.flat, size)]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """Vectors (n, size) to items (n, channels, height, width), unbounded."""

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int, patch: int) -> None:
        """Set the sizes; `blocks` residual blocks stand on the coarsest grid."""
        shape = _Shape(spec, width, patch)
        coarse = shape.widths[-1]
        layers: list[nn.Module] = [nn.Linear(size, shape.flat), nn.Unflatten(1, (coarse, *shape.sides[-1]))]
        layers += [Residual(coarse) for _ in range(blocks)]
        for i in reversed(range(1, len(shape.widths))):
            coarser, finer = shape.widths[i], shape.widths[i - 1]
            layers += [_norm(coarser), nn.SiLU(), Up(coarser, finer, 2, shape.sides[i - 1])]
        height, breadth = spec.shape[1:]
        layers += [_norm(width), nn.SiLU(), Up(width, shape.channels, patch, (height, breadth))]
        super().__init__(*layers)


class Critic(nn.Sequential):
    """Items (n, channels, height, width) to numbers (n, 1), each layer at most 1-Lipschitz (Miyato et al. 2018)."""

    def __init__(self, spec: DataSpec, width: int, blocks: int, patch: int) -> None:
        """Set the sizes; `blocks` residual blocks stand on the coarsest grid."""
        shape = _Shape(spec, width, patch)
        stem = nn.Conv2d(shape.channels * patch**2, width, 3, padding=1)
        layers: list[nn.Module] = [Patches(patch), spectral_norm(stem)]
        for fine, coarser in pairwise(shape.widths):
            layers += [nn.SiLU(), spectral_norm(nn.Conv2d(fine, coarser, 3, stride=2, padding=1))]
        layers += [Residual(shape.widths[-1], norm=False, wrap=spectral_norm) for _ in range(blocks)]
        # a bias would have only rounding noise for a gradient, while no item is past its margin: Adam makes steps of it
        layers += [nn.SiLU(), nn.Flatten(), spectral_norm(nn.Linear(shape.flat, 1, bias=False))]
        super().__init__(*layers)
