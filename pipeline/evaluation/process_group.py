"""The group of processes that share the work of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from pipeline.params import RuntimeParams
from pipeline.system.distributed import launch, together


@dataclass(frozen=True)
class ProcessGroup:
    """A process and the group it belongs to; rank 0 leads."""

    rank: int = 0
    size: int = 1

    def part(self, n: int, chunk: int, rank: int | None = None) -> tuple[int, int]:
        """Return the start and the length of a process's part of n items: whole chunks, except for the last chunk."""
        rank = self.rank if rank is None else rank
        chunks = -(-n // chunk)
        # rounded up, so that rank 0, which shows the first items, has them
        begin, end = (min(n, chunk * -(-chunks * each // self.size)) for each in (rank, rank + 1))
        return begin, end - begin

    def join(self, rows: NDArray[np.float32], n: int, chunk: int) -> NDArray[np.float32]:
        """Gather the parts of all processes into the rows (n, ...)."""
        if self.size == 1:
            return rows
        counts = [self.part(n, chunk, rank)[1] for rank in range(self.size)]
        mine = torch.zeros(max(counts), *rows.shape[1:])
        mine[: len(rows)] = torch.from_numpy(rows)
        found = [torch.empty_like(mine) for _ in counts]
        with together():
            dist.all_gather(found, mine)
        return np.concatenate([each[:count].numpy() for each, count in zip(found, counts, strict=True)])


def assemble(runtime: RuntimeParams) -> ProcessGroup:
    """Start the other processes that `runtime` requests, or join those started by torchrun or SLURM."""
    if runtime.processes == 1:
        return ProcessGroup()
    from lightning_fabric import Fabric

    launch(runtime.devices, runtime.nodes)
    fabric = Fabric(accelerator="cpu", devices=runtime.devices, num_nodes=runtime.nodes, strategy="ddp")
    fabric.launch()
    return ProcessGroup(fabric.global_rank, fabric.world_size)
