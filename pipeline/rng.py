"""Randomness as a function: what is drawn depends on the seed, the purpose and the counters, and on nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def key(seed: int, purpose: str, *counters: int) -> int:
    """Return the 63-bit key of one stream of randomness."""
    text = "/".join([str(seed), purpose, *map(str, counters)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_rng(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Return the numpy generator of one stream."""
    return np.random.default_rng(key(seed, purpose, *counters))


def torch_rng(seed: int, purpose: str, *counters: int) -> torch.Generator:
    """Return the torch generator (CPU) of one stream.

    Noise is drawn on the CPU and moved, so that it is the same on every device.
    """
    import torch

    return torch.Generator().manual_seed(key(seed, purpose, *counters))
