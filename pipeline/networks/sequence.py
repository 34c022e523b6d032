"""Networks on sequences: an encoder to a vector, a decoder from one, a critic to one number.

All have one width at every resolution, and residual blocks at each of them: neighbours are what matters most.
"""

from __future__ import annotations

from torch import Tensor, nn

from pipeline.contents.base import DataSpec
from pipeline.networks.blocks import Residual, norm, sides


class Up(nn.Module):
    """Double the length with a convolution whose channels become neighbours, and crop to the target's length."""

    def __init__(self, channels: int, target: int) -> None:
        """Set the channels and the length after."""
        super().__init__()
        self.target = target
        self.conv = nn.Conv1d(channels, 2 * channels, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """Return (n, channels, target)."""
        doubled: Tensor = self.conv(h)
        n, channels, length = doubled.shape
        return doubled.view(n, channels // 2, 2, length).movedim(2, 3).flatten(2)[..., : self.target]


class Encoder(nn.Sequential):
    """Items (n, channels, length) to vectors (n, size)."""

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int) -> None:
        """Set the sizes; `blocks` residual blocks stand at each resolution."""
        super().__init__(*_down(spec, width, blocks, normalised=True), nn.Linear(width * _coarsest(spec), size))


class Decoder(nn.Sequential):
    """Vectors (n, size) to maps (n, channels, length), unbounded."""

    def __init__(self, spec: DataSpec, size: int, width: int, blocks: int, channels: int | None = None) -> None:
        """Set the sizes; `blocks` residual blocks stand at each resolution; the channels are those of items."""
        lengths = sides(spec.x_shape[1], 1)
        layers: list[nn.Module] = [nn.Linear(size, width * lengths[-1]), nn.Unflatten(1, (width, lengths[-1]))]
        for target in reversed(lengths[:-1]):
            layers += [Residual(nn.Conv1d, width) for _ in range(blocks)]
            layers += [norm(width), nn.SiLU(), Up(width, target)]
        layers += [Residual(nn.Conv1d, width) for _ in range(blocks)]
        layers += [norm(width), nn.SiLU(), nn.Conv1d(width, channels or spec.x_shape[0], 3, padding=1)]
        super().__init__(*layers)


class Critic(nn.Sequential):
    """Items (n, channels, length) to numbers (n, 1); a penalty on its slopes bounds them."""

    def __init__(self, spec: DataSpec, width: int, blocks: int) -> None:
        """Set the sizes; `blocks` residual blocks stand at each resolution."""
        # a bias would have only rounding noise for a gradient, while no item is past its margin: Adam makes steps of it
        last = nn.Linear(width * _coarsest(spec), 1, bias=False)
        super().__init__(*_down(spec, width, blocks, normalised=False), last)


def _down(spec: DataSpec, width: int, blocks: int, *, normalised: bool) -> list[nn.Module]:
    lengths = sides(spec.x_shape[1], 1)
    layers: list[nn.Module] = [nn.Conv1d(spec.x_shape[0], width, 1)]
    for place in range(len(lengths)):
        if place:
            layers += [norm(width)] if normalised else []
            layers += [nn.SiLU(), nn.Conv1d(width, width, 3, stride=2, padding=1)]
        layers += [Residual(nn.Conv1d, width, normalised=normalised) for _ in range(blocks)]
    layers += [norm(width)] if normalised else []
    return [*layers, nn.SiLU(), nn.Flatten()]


def _coarsest(spec: DataSpec) -> int:
    return sides(spec.x_shape[1], 1)[-1]
