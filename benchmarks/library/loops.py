"""A plain PyTorch loop, which people could train with instead of the pipeline."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.contents.base import UNLABELLED
from pipeline.models.families.base import Batch, Family
from pipeline.models.networks.grid import Critic, Decoder, Encoder
from pipeline.system.rng import Noise, torch_rng

Pixels = NDArray[np.uint8]
HELPS = [each for n in range(5) for each in combinations(("fused", "channels_last", "compiled", "bfloat16"), n)]
"""All combinations of what might make the loop faster."""


def adam(family: Family, player: str, *, fused: bool = False) -> torch.optim.Optimizer:
    """Return the Adam of one of the networks that train in turn."""
    chosen, weights = family.optimiser(player), family.get_submodule(player).parameters()
    return torch.optim.Adam(weights, chosen.learning_rate, chosen.betas, fused=fused or None)


def bare(family: Family, array: Pixels, batch: int, skip: int, helps: Sequence[str] = ()) -> float:
    """Train one pass over stored items (n, *shape) and return seconds a step: gather a batch, step Adam, nothing else.

    Args:
        family: the networks and their losses.
        array: items of uint8 that fit in memory.
        batch: items of a batch.
        skip: steps before the clock starts.
        helps: what to add, of HELPS.
    """
    if "channels_last" in helps:
        family.to(memory_format=torch.channels_last)
    if "compiled" in helps:
        for module in family.modules():
            if isinstance(module, Encoder | Decoder | Critic):
                module.compile()
    players = {player: adam(family, player, fused="fused" in helps) for player in family.players}
    weights = {player: list(family.get_submodule(player).parameters()) for player in players}
    data, order, rng = torch.from_numpy(array), torch.randperm(len(array)), torch_rng(0, "bare")
    steps, labels = len(array) // batch, torch.full((batch,), UNLABELLED)
    for step in range(steps):
        if step == skip:
            begin = time.perf_counter()
        x = family.spec.scale(data[order[step * batch : (step + 1) * batch]])
        for player, optimiser in players.items():
            for other in players if len(players) > 1 else ():
                for each in weights[other]:
                    each.requires_grad_(other == player)
            with torch.autocast("cpu", torch.bfloat16, enabled="bfloat16" in helps):
                loss = family.loss(player, Batch(x, labels), Noise(rng), 0.5).total
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return (time.perf_counter() - begin) / (steps - skip)
