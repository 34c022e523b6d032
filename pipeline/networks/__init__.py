"""Encoders, decoders and critics: one file a layout of the data, each with its network of every kind."""

from __future__ import annotations

from types import ModuleType

from torch import nn

from pipeline.contents.base import DataSpec
from pipeline.networks import grid, sequence

LAYOUTS: dict[str, ModuleType] = {"grid": grid, "sequence": sequence}


def encoder(spec: DataSpec, size: int, width: int, blocks: int) -> nn.Module:
    """Return a network from items (n, *spec.x_shape) to vectors (n, size)."""
    return LAYOUTS[spec.layout].Encoder(spec, size, width, blocks)  # type: ignore[no-any-return]


def decoder(spec: DataSpec, size: int, width: int, blocks: int, channels: int | None = None) -> nn.Module:
    """Return a network from vectors (n, size) to maps with the sides of items, and their channels by default."""
    return LAYOUTS[spec.layout].Decoder(spec, size, width, blocks, channels)  # type: ignore[no-any-return]


def critic(spec: DataSpec, width: int, blocks: int) -> nn.Module:
    """Return a network from items (n, *spec.x_shape) to numbers (n, 1)."""
    return LAYOUTS[spec.layout].Critic(spec, width, blocks)  # type: ignore[no-any-return]
