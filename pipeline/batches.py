"""Whole batches, gathered from a memory-mapped array; which items a step sees is a function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.contents.base import DataSpec
from pipeline.rng import numpy_rng

CHUNK = 500


class Batches:
    """The batches of an epoch: every item once, in an order that is a function of seed and epoch.

    `done` gives the number of steps already taken, so that an iteration begins at the batch where a training stopped.
    """

    def __init__(self, array: NDArray[np.uint8], batch_size: int, seed: int, done: Callable[[], int]) -> None:
        """Set the array (n, *shape) and the size of a batch; an epoch's last batch may be smaller."""
        self.array, self.batch_size, self.seed, self.done = array, batch_size, seed, done

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return -(-len(self.array) // self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield batches of stored integers, (n, *shape) uint8."""
        epoch, first = divmod(self.done(), len(self))
        order = numpy_rng(self.seed, "order", epoch).permutation(len(self.array))
        for step in range(first, len(self)):
            chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield torch.from_numpy(self.array[np.sort(chosen)])


def scaled(array: NDArray[np.uint8], spec: DataSpec, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """Yield an array in order, in chunks (n, *shape) scaled to [-1, 1]."""
    for start in range(0, len(array), CHUNK):
        yield spec.scale(torch.from_numpy(np.array(array[start : start + CHUNK])).to(device))
