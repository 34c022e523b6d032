"""Encoders, decoders and critics: a file for each layout of the data."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from pipeline.contents.base import DataSpec
from pipeline.models.networks import grid, sequence

ENCODERS: dict[str, Callable[..., nn.Module]] = {"grid": grid.Encoder, "sequence": sequence.Encoder}
DECODERS: dict[str, Callable[..., nn.Module]] = {"grid": grid.Decoder, "sequence": sequence.Decoder}
CRITICS: dict[str, Callable[..., nn.Module]] = {"grid": grid.Critic, "sequence": sequence.Critic}


def encoder(spec: DataSpec, size: int, width: int, blocks: int) -> nn.Module:
    """Return a network from items (n, *spec.x_shape) to vectors (n, size)."""
    return ENCODERS[spec.layout](spec, size, width, blocks)


def decoder(spec: DataSpec, size: int, width: int, blocks: int, channels: int | None = None) -> nn.Module:
    """Return a network from vectors (n, size) to maps with the sides of items, and their channels by default."""
    return DECODERS[spec.layout](spec, size, width, blocks, channels)


def critic(spec: DataSpec, width: int, blocks: int) -> nn.Module:
    """Return a network from items (n, *spec.x_shape) to numbers (n, 1)."""
    return CRITICS[spec.layout](spec, width, blocks)
