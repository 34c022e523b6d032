"""The seam between models and training: a family is a game, whose players each minimise their own loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.contents.base import UNLABELLED, DataSpec
from pipeline.models.losses import Losses
from pipeline.params.sections import Section
from pipeline.system.rng import Noise, torch_rng

CHUNK = 256
"""Latents that one generator draws: latent i is a function of seed and i, whatever n is."""
TILE = 64
"""Latents in a batch of the decoder, always: a matrix product rounds differently with another number of rows."""


class Batch(NamedTuple):
    """What a loss is computed on.

    Attributes:
        items: as families see them, (n, *spec.x_shape).
        labels: indices of their classes, (n,) int64; -1 where an item has none.
    """

    items: Tensor
    labels: Tensor


@dataclass(frozen=True)
class OptimiserSettings:
    """Peak learning rate and momentum terms of a player's Adam.

    `Family.optimiser` fills them in from the section of the family (params/sections.py). Another optimiser takes its
    settings here too; `FamilyModule.configure_optimizers` builds it, and `hold` beside it checks its state.
    """

    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.99)


class Family(nn.Module, ABC):
    """A generative model over items of `spec`, in plain PyTorch.

    Attributes:
        Params: the class of its section in params.yaml, which the constructor takes.
        players: names of the child modules that are trained, each with its own optimiser, updated in this order.
        training_only: names of the child modules that sampling and reconstruction do not need; they are not saved.
        amortised: whether `project` is one pass of a network, cheap enough to log reconstructions after every epoch.
    """

    Params: ClassVar[type[Section]]
    players: ClassVar[tuple[str, ...]]
    amortised: ClassVar[bool] = False
    training_only: ClassVar[tuple[str, ...]] = ()

    def __init__(self, spec: DataSpec, params: Section) -> None:
        """Set the spec of the data; a family builds its networks from its params."""
        super().__init__()
        self.spec = spec

    @property
    def exact(self) -> bool:
        """Whether the `elbo` of `score` is that of the stored values, so that bits per dimension follow from it."""
        return False

    @abstractmethod
    def optimiser(self, player: str) -> OptimiserSettings:
        """Return the settings of a player's optimiser."""

    @abstractmethod
    def loss(self, player: str, batch: Batch, noise: Noise, progress: float) -> Losses:
        """Return the loss of a player, the mean over a batch.

        Its only randomness is `noise`; progress is the share of steps done, in [0, 1).
        """

    @abstractmethod
    def latents(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw n latents from the prior, (n, latent_dim)."""

    @abstractmethod
    def decode(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        """Return the items that latents stand for, (n, *spec.x_shape).

        For tokens, u (n, length) in [0, 1) are the quantiles of their distributions to take; without u, the likeliest
        token is taken.
        """

    @abstractmethod
    def project(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return the latents that stand for given items, (n, latent_dim)."""

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor | None:
        """Return log p(x | z) in nats, (n,), or None without such a distribution."""
        return None

    def score(self, batches: Iterable[Tensor], rng: torch.Generator) -> dict[str, Tensor]:
        """Return metrics of this family over held-out items: a value for each item, (n,), or one for all, ()."""
        return {}

    def bounds(self, x: Tensor, rng: torch.Generator) -> dict[str, Tensor]:
        """Return bounds of log p(x) that take many passes for each item, in nats, (n,); none without a likelihood."""
        return {}

    def check(self) -> None:
        """Refuse weights that are finite and yet invalid.

        Raises:
            ValueError: which ones, and why.
        """

    def finish(self, batches: Iterable[Tensor], rng: torch.Generator) -> None:
        """Run once after the last step of training, on all of train in batches, its items in a random order."""

    def sample(self, n: int, seed: int, first: int = 0, label: int = UNLABELLED) -> Tensor:
        """Draw n samples (n, *spec.x_shape), from number `first`; sample i is a function of seed and i, to the bit.

        A family that learns no classes draws the same whatever the label.
        """
        begin, device = first // CHUNK, next(self.parameters()).device
        numbers = range(begin, max(begin + 1, -(-(first + n) // CHUNK)))
        drawn = slice(first - begin * CHUNK, first - begin * CHUNK + n)
        z = torch.cat([self.latents(CHUNK, torch_rng(seed, "sample", i)) for i in numbers])[drawn].to(device)
        u = None
        if self.spec.kind == "tokens":
            size = (CHUNK, *self.spec.shape)
            u = torch.cat([torch.rand(size, generator=torch_rng(seed, "tokens", i)) for i in numbers])[drawn]
        return self.decode_apart(z, u)

    @torch.no_grad()
    def decode_apart(self, z: Tensor, u: Tensor | None = None) -> Tensor:
        """Return `decode` of latents, such that no item depends on the other latents or on their number."""
        n, lacking = len(z), -len(z) % TILE or TILE * (len(z) == 0)
        z = F.pad(z, (0, 0, 0, lacking))
        u = None if u is None else F.pad(u, (0, 0, 0, lacking))
        tiles = (slice(at, at + TILE) for at in range(0, len(z), TILE))
        return torch.cat([self.decode(z[tile], None if u is None else u[tile]) for tile in tiles])[:n]

    def reconstruct(self, x: Tensor, rng: torch.Generator) -> Tensor:
        """Return reconstructions of items, (n, *spec.x_shape)."""
        z = self.project(x, rng)
        with torch.no_grad():
            return self.decode(z)
