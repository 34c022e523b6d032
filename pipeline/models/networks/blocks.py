"""Layers that networks of all layouts share.

Normalisation is GroupNorm: it has no state over batches, so results do not depend on how a batch is split.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

COARSEST = 8
"""Longest side of the coarsest grid: sides are halved until they are no longer."""
PATCH, CRITIC_PATCH = 4, 2
"""Sides of patches: the critic sees finer ones than the generator makes, so that it finds their seams."""
GROUP = 8
"""Channels that are normalised together."""

Wrap = Callable[[nn.Module], nn.Module]
Conv = type[nn.Conv1d] | type[nn.Conv2d]


def unwrapped(layer: nn.Module) -> nn.Module:
    """Return a layer as it is."""
    return layer


def sides(side: int, patch: int) -> list[int]:
    """Return the side after the patches and after each halving, rounded up: 28 in patches of 4 gives [7]."""
    found = [-(-side // patch)]
    while found[-1] > COARSEST:
        found.append(-(-found[-1] // 2))
    return found


def widths(width: int, count: int) -> list[int]:
    """Return the channels at each resolution: doubled with each halving, up to four times."""
    return [width * min(4, 2**i) for i in range(count)]


class Norm(nn.GroupNorm):
    """Normalise groups of channels, in float32 whatever the precision of the rest.

    That is what autocast does on a GPU; on a CPU it would leave this in bfloat16, three to five times as slow.
    """

    def forward(self, h: Tensor) -> Tensor:
        """Return float32 of the same shape."""
        return super().forward(h.float())


def norm(channels: int) -> nn.Module:
    """Return a normalisation of groups of channels."""
    return Norm(channels // GROUP, channels)


def embedding(vocab_size: int, channels: int) -> nn.Conv1d:
    """Return a layer from points of the simplex (n, vocab_size, length) to embeddings of variance 1.

    The usual initialisation assumes that all inputs are active, and would make those of one-hot inputs vanish.
    """
    layer = nn.Conv1d(vocab_size, channels, 1, bias=False)
    nn.init.normal_(layer.weight)
    return layer


class Residual(nn.Module):
    """Two convolutions of side 3 beside the identity (He et al. 2016), activation first."""

    def __init__(self, conv: Conv, channels: int, *, normalised: bool = True, wrap: Wrap = unwrapped) -> None:
        """Set the kind of convolution and the channels; `wrap` is applied to each convolution."""
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [norm(channels)] if normalised else []
            layers += [nn.SiLU(), wrap(conv(channels, channels, 3, padding=1))]
        self.body = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        """Return features of the same shape."""
        change: Tensor = self.body(h)
        return h + change
