"""Networks on sequences: an encoder to a vector, a decoder from one, a critic to one number.

All begin or end with patches, as those on grids do. A part of the vector belongs to each place of the coarsest
resolution, so that what is learned of one place holds for all.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from pipeline.contents.base import DataSpec
from pipeline.models.networks.blocks import (
    CRITIC_PATCH,
    PATCH,
    Residual,
    Wrap,
    embedding,
    norm,
    sides,
    unwrapped,
    widths,
)


class Patches(nn.Module):
    """Make channels of `patch` neighbours; padded with zeros to a whole number of patches."""

    def __init__(self, patch: int) -> None:
        """Set the length of a patch."""
        super().__init__()
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels * patch, length / patch)."""
        x = F.pad(x, (0, -x.shape[2] % self.patch))
        n, channels, length = x.shape
        return x.view(n, channels, length // self.patch, self.patch).movedim(3, 2).flatten(1, 2)


class Up(nn.Module):
    """Enlarge by `factor` with a convolution whose channels become neighbours, and crop to the target's length."""

    def __init__(self, channels: int, to: int, factor: int, target: int) -> None:
        """Set the channels before and after, and the length after."""
        super().__init__()
        self.factor, self.target = factor, target
        self.conv = nn.Conv1d(channels, to * factor, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Return (n, to, target)."""
        patches: Tensor = self.conv(h)
        n, channels, length = patches.shape
        neighbours = patches.view(n, channels // self.factor, self.factor, length).movedim(2, 3)
        return neighbours.flatten(2)[..., : self.target]


class Places(nn.Module):
    """Divide a vector (n, size) among places, (n, channels, places)."""

    def __init__(self, channels: int, places: int) -> None:
        """Set the sizes."""
        super().__init__()
        self.channels, self.places = channels, places

    def forward(self, z: Tensor) -> Tensor:
        """Return (n, channels, places), padded with zeros."""
        return F.pad(z, (0, self.channels * self.places - z.shape[1])).view(len(z), self.channels, self.places)


class Gather(nn.Module):
    """Gather places (n, channels, places) into vectors (n, size): the inverse of `Places`."""

    def __init__(self, size: int) -> None:
        """Set the size, to which vectors are truncated."""
        super().__init__()
        self.size = size

    def forward(self, h: Tensor) -> Tensor:
        """Return (n, size)."""
        return h.flatten(1)[:, : self.size]


class Encoder(nn.Sequential):
    """Items (n, channels, length) to vectors (n, size)."""

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int) -> None:
        """Set the sizes; `blocks` residual blocks stand at each resolution."""
        layers, coarse, places = _down(spec, width, blocks, PATCH, normalised=True)
        super().__init__(*layers, nn.Conv1d(coarse, -(-size // places), 1), Gather(size))


class Decoder(nn.Sequential):
    """Vectors (n, size) to maps (n, channels, length), unbounded."""

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int, channels: int | None = None) -> None:
        """Set the sizes; `blocks` residual blocks stand at each resolution; the channels are those of items."""
        lengths = sides(spec.x_shape[1], PATCH)
        wide = widths(width, len(lengths))
        each = -(-size // lengths[-1])
        layers: list[nn.Module] = [Places(each, lengths[-1]), nn.Conv1d(each, wide[-1], 3, padding=1)]
        for i in reversed(range(1, len(lengths))):
            layers += [Residual(nn.Conv1d, wide[i]) for _ in range(blocks)]
            layers += [norm(wide[i]), nn.SiLU(), Up(wide[i], wide[i - 1], 2, lengths[i - 1])]
        layers += [Residual(nn.Conv1d, width) for _ in range(blocks)]
        layers += [norm(width), nn.SiLU(), Up(width, channels or spec.x_shape[0], PATCH, spec.x_shape[1])]
        super().__init__(*layers)


class Critic(nn.Sequential):
    """Items (n, channels, length) to numbers (n, 1): the mean over places.

    For numbers each layer is at most 1-Lipschitz (Miyato et al. 2018); for tokens a gradient penalty bounds the slopes.
    """

    def __init__(self, spec: DataSpec, width: int, blocks: int) -> None:
        """Set the sizes; `blocks` residual blocks stand at each resolution."""
        wrap: Wrap = unwrapped if spec.kind == "tokens" else spectral_norm
        layers, coarse, _ = _down(spec, width, blocks, CRITIC_PATCH, normalised=False, wrap=wrap)
        # while all items are within the margin, a bias has only rounding noise as its gradient, which Adam scales up
        last = wrap(nn.Conv1d(coarse, 1, 1, bias=False))
        super().__init__(*layers, last, nn.AdaptiveAvgPool1d(1), nn.Flatten())


def _down(
    spec: DataSpec, width: int, blocks: int, patch: int, *, normalised: bool, wrap: Wrap = unwrapped
) -> tuple[list[nn.Module], int, int]:
    """Return layers from items to the coarsest resolution, its channels and its length."""
    lengths = sides(spec.x_shape[1], patch)
    wide = widths(width, len(lengths))
    channels, layers = spec.x_shape[0], list[nn.Module]()
    if spec.kind == "tokens":
        channels = width
        layers += [embedding(spec.vocab_size, width)]
    layers += [Patches(patch), wrap(nn.Conv1d(channels * patch, width, 3, padding=1))]
    for i, here in enumerate(wide):
        if i:
            layers += [norm(wide[i - 1])] if normalised else []
            layers += [nn.SiLU(), wrap(nn.Conv1d(wide[i - 1], here, 3, stride=2, padding=1))]
        layers += [Residual(nn.Conv1d, here, normalised=normalised, wrap=wrap) for _ in range(blocks)]
    layers += [norm(wide[-1])] if normalised else []
    return [*layers, nn.SiLU()], wide[-1], lengths[-1]
