"""A trained model as quality.py scores it, whoever trained it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Trained:
    """A model's seconds of training, its samples, and its reconstructions if it has any.

    `normal` draws samples from N(0, I) where `sample` draws from another prior.
    """

    seconds: float
    sample: Callable[[int], Pixels]
    reconstruct: Callable[[Pixels], Pixels] | None = None
    normal: Callable[[int], Pixels] | None = None


def pixels(x: Tensor) -> Pixels:
    """Return values in [0, 1] as the bytes that are stored."""
    return (x.clamp(0, 1) * 255).round().byte().numpy()
