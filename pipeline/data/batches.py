"""Batches of a memory-mapped array; the items of a step are a function of seed and step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from pipeline.contents.base import UNLABELLED, DataSpec, Stored
from pipeline.system.rng import numpy_rng

CHUNK = 500


class Share(NamedTuple):
    """A process's part of a batch.

    Attributes:
        items: (n, *shape), as stored.
        labels: indices of their classes, (n,) int64; -1 where they have none.
        first: place of the first of them in the batch.
        own: how many of them count: all; or 0 where the batch has none for this process, which then takes part in the
            step with one item that does not count.
        whole: items in the batch.
    """

    items: Tensor
    labels: Tensor
    first: int
    own: int
    whole: int


class Batches:
    """The batches of an epoch: every item once, in an order that is a function of seed and epoch.

    Several processes divide each batch among them. `done` returns the number of steps taken, so that an iteration
    begins at the batch from which a training resumes.
    """

    def __init__(
        self,
        array: Stored,
        batch_size: int,
        seed: int,
        done: Callable[[], int],
        labels: NDArray[np.int32] | None = None,
    ) -> None:
        """Set the array (n, *shape), its labels (n,) and the size of a batch; an epoch's last batch may be smaller."""
        self.labels = np.full(len(array), UNLABELLED, np.int32) if labels is None else labels
        self.array, self.batch_size, self.seed, self.done = array, batch_size, seed, done

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return -(-len(self.array) // self.batch_size)

    def __iter__(self) -> Iterator[Share]:
        """Yield this process's share of each batch."""
        epoch, first = divmod(self.done(), len(self))
        rank, size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        order = numpy_rng(self.seed, "order", epoch).permutation(len(self.array))
        for step in range(first, len(self)):
            batch = np.sort(order[step * self.batch_size : (step + 1) * self.batch_size])
            begin, end = (len(batch) * part // size for part in (rank, rank + 1))
            mine, first_of_mine = (batch[begin:end], begin) if begin < end else (batch[:1], 0)
            items, labels = torch.from_numpy(self.array[mine]), torch.from_numpy(self.labels[mine].astype(np.int64))
            yield Share(items, labels, first_of_mine, end - begin, len(batch))


def scaled(array: Stored, spec: DataSpec, device: torch.device | str = "cpu") -> Iterator[Tensor]:
    """Yield an array in order, in chunks as families see them, (n, *x_shape); one empty chunk if it is empty."""
    for start in range(0, max(1, len(array)), CHUNK):
        yield spec.scale(torch.from_numpy(np.array(array[start : start + CHUNK])).to(device))
