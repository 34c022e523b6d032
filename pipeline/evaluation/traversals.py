"""Latent traversals: the effect of single dimensions of the latent on an item."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.models.families.base import Family
from pipeline.system import progress

ITEMS, ROWS, STEPS = 3, 5, 11
FURTHEST = 3.0
DRAWS = 4096
"""Latents from which the mean and the standard deviation of each dimension are estimated."""


@dataclass(frozen=True)
class Traversals:
    """Samples varied along single dimensions of the latent.

    Attributes:
        x: items ordered by sample, then dimension, then step, (n, *spec.x_shape).
        captions: the dimension at the first step of each walk, otherwise empty, (n,).
    """

    x: Tensor
    captions: list[str]


@torch.no_grad()
def traverse(family: Family, rng: torch.Generator) -> Traversals:
    """Vary samples along each of the latent dimensions that change them most, with the other dimensions fixed.

    A walk covers -3 to 3 standard deviations around the mean of the latents that the family draws: -3 to 3 for
    N(0, I), and the range of its latents for a fitted prior. A dimension's effect is the mean absolute change of the
    samples, in the units of x, over both ends of its walk.
    """
    drawn = family.latents(DRAWS, rng)
    mean, deviation, z = drawn.mean(0), drawn.std(0), drawn[:ITEMS]

    def walk(dimension: int, steps: int) -> Tensor:
        at = torch.linspace(-FURTHEST, FURTHEST, steps)
        moved = z[:, None].repeat(1, steps, 1)
        moved[..., dimension] = mean[dimension] + at * deviation[dimension]
        return family.decode(moved.flatten(0, 1)).view(*moved.shape[:2], *family.spec.x_shape)

    x, dimensions = family.decode(z)[:, None], progress.bar(range(z.shape[1]), desc="traverse", leave=False, delay=1.0)
    effects = torch.stack([(walk(each, 2) - x).abs().mean() for each in dimensions])
    chosen = effects.argsort(descending=True)[:ROWS].tolist()
    walks = torch.stack([walk(each, STEPS) for each in chosen], 1)
    captions = [f"z[{each}]" if step == 0 else "" for each in chosen for step in range(STEPS)]
    return Traversals(walks.flatten(0, 2), captions * ITEMS)
