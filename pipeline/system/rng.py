"""Random streams: each draw is a function of the seed, the purpose and the counters, and of nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SEEDS = 2**63
"""Exclusive upper bound of the seeds of samples: all formats that they may pass through hold smaller integers."""
SMALLEST = 1e-6
"""Smallest distance of uniform draws from 0 and from 1."""


def key(seed: int, purpose: str, *counters: int) -> int:
    """Return the 63-bit key of a random stream."""
    text = "/".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_rng(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the numpy generator of a stream."""
    return np.random.default_rng(key(seed, purpose, *counters))


def torch_rng(seed: int, purpose: str, *counters: int) -> torch.Generator:
    """Return the torch generator (on the CPU) of a stream.

    Noise is drawn on the CPU and then moved, so that it is the same on every device.
    """
    import torch

    return torch.Generator().manual_seed(key(seed, purpose, *counters))


class Noise:
    """Normal noise for a share of a batch: each item gets the same, however many processes share the batch."""

    def __init__(self, rng: torch.Generator, first: int = 0, whole: int | None = None) -> None:
        """Set the generator, the index of the share's first item in the batch, and the size of the whole batch."""
        self.rng, self.first, self.whole = rng, first, whole

    def __call__(self, n: int, *shape: int) -> Tensor:
        """Return draws from N(0, I) for the n items of the share, (n, *shape), on the generator's device."""
        import torch

        whole = n if self.whole is None else self.whole
        drawn = torch.randn(whole, *shape, generator=self.rng, device=self.rng.device)
        return drawn[self.first : self.first + n]

    def uniform(self, n: int, *shape: int) -> Tensor:
        """Return uniform draws from (0, 1) for the n items of the share, (n, *shape)."""
        import torch

        drawn: Tensor = torch.special.ndtr(self(n, *shape))
        return drawn.clamp(SMALLEST, 1 - SMALLEST)
