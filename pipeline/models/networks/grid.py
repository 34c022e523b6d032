"""Networks on grids: an encoder to a vector, a decoder from one, a critic to one number.

All begin or end with patches, since convolutions at full resolution cost most and add least. Features lie channels last
from the first layer to the last, which convolutions are fastest with.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pipeline.contents.base import DataSpec
from pipeline.models.networks.blocks import CRITIC_PATCH, PATCH, Residual, norm, sides, widths


class Patches(nn.Module):
    """Cut squares of `patch` pixels into channels; a side is padded to a whole number of them by its edge."""

    def __init__(self, patch: int) -> None:
        """Set the side of a patch, in pixels."""
        super().__init__()
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels * patch**2, height / patch, width / patch), channels last in memory."""
        bottom, right = (-x.shape[-2]) % self.patch, (-x.shape[-1]) % self.patch
        if bottom or right:
            x = F.pad(x, (0, right, 0, bottom), mode="replicate")
        return F.pixel_unshuffle(x, self.patch).contiguous(memory_format=torch.channels_last)


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


class Flatten(nn.Module):
    """Flatten grids in the order of memory, channels last, so that nothing is copied."""

    def forward(self, h: Tensor) -> Tensor:
        """Return (n, height * width * channels)."""
        return h.movedim(1, 3).flatten(1)


class Unflatten(nn.Module):
    """The inverse of `Flatten`."""

    def __init__(self, channels: int, sides: tuple[int, int]) -> None:
        """Set the sizes of a grid."""
        super().__init__()
        self.channels, self.sides = channels, sides

    def forward(self, h: Tensor) -> Tensor:
        """Return (n, channels, *sides)."""
        return h.view(len(h), *self.sides, self.channels).movedim(3, 1)


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

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int, patch: int = PATCH) -> None:
        """Set the sizes; `blocks` residual blocks stand on the coarsest grid."""
        shape = _Shape(spec, width, patch)
        coarse = shape.widths[-1]
        layers: list[nn.Module] = [Patches(patch), nn.Conv2d(shape.channels * patch**2, width, 3, padding=1)]
        for fine, coarser in pairwise(shape.widths):
            layers += [norm(fine), nn.SiLU(), nn.Conv2d(fine, coarser, 3, stride=2, padding=1)]
        layers += [Residual(nn.Conv2d, coarse) for _ in range(blocks)]
        layers += [norm(coarse), nn.SiLU(), Flatten(), nn.Linear(shape.flat, size)]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """Vectors (n, size) to maps (n, channels, height, width), unbounded."""

    def __init__(
        self, spec: DataSpec, size: int, width: int, blocks: int, channels: int | None = None, patch: int = PATCH
    ) -> None:
        """Set the sizes; `blocks` residual blocks stand on the coarsest grid; the channels are those of items."""
        shape = _Shape(spec, width, patch)
        coarse = shape.widths[-1]
        layers: list[nn.Module] = [nn.Linear(size, shape.flat), Unflatten(coarse, shape.sides[-1])]
        layers += [Residual(nn.Conv2d, coarse) for _ in range(blocks)]
        for i in reversed(range(1, len(shape.widths))):
            coarser, finer = shape.widths[i], shape.widths[i - 1]
            layers += [norm(coarser), nn.SiLU(), Up(coarser, finer, 2, shape.sides[i - 1])]
        height, breadth = spec.shape[1:]
        layers += [norm(width), nn.SiLU(), Up(width, channels or shape.channels, patch, (height, breadth))]
        super().__init__(*layers)


class Critic(nn.Sequential):
    """Items (n, channels, height, width) to numbers (n, 1), each layer at most 1-Lipschitz (Miyato et al. 2018)."""

    def __init__(self, spec: DataSpec, width: int, blocks: int, patch: int = CRITIC_PATCH) -> None:
        """Set the sizes; `blocks` residual blocks stand on the coarsest grid."""
        shape = _Shape(spec, width, patch)
        stem = nn.Conv2d(shape.channels * patch**2, width, 3, padding=1)
        layers: list[nn.Module] = [Patches(patch), spectral_norm(stem)]
        for fine, coarser in pairwise(shape.widths):
            layers += [nn.SiLU(), spectral_norm(nn.Conv2d(fine, coarser, 3, stride=2, padding=1))]
        layers += [Residual(nn.Conv2d, shape.widths[-1], normalised=False, wrap=spectral_norm) for _ in range(blocks)]
        # while all items are within the margin, a bias has only rounding noise as its gradient, which Adam scales up
        layers += [nn.SiLU(), Flatten(), spectral_norm(nn.Linear(shape.flat, 1, bias=False))]
        super().__init__(*layers)
