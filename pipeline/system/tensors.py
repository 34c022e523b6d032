"""Check weights from a file against a network, and load them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)
FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.full)
"""Functions that allocate the tensors of a network."""
FACTOR, MARGIN = 4, 1 << 20
"""Bound of the weights that a network may allocate while it is built: a multiple of those in the file, and a constant
more. A GAN's critic is built and not kept."""


class Bounded(TorchFunctionMode):
    """Refuses to allocate more elements than a bound, before they take any memory."""

    def __init__(self, most: int) -> None:
        """Set the bound, a number of elements."""
        super().__init__()
        self.left = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, unless it exceeds the bound.

        Raises:
            ValueError: it exceeds the bound, or no tensor can have its shape.
        """
        kwargs = kwargs or {}
        if func in FACTORIES:
            try:
                self.left -= func(*args, **{**kwargs, "device": "meta"}).numel()
            except (OverflowError, RuntimeError, TypeError) as error:
                raise ValueError(f"no network has these sizes: {str(error).partition(chr(10))[0]}") from error
            if self.left < 0:
                raise ValueError("its network has many times as many weights")
        return func(*args, **kwargs)


def filled(build: Callable[[], M], weights: Mapping[str, Tensor]) -> M:
    """Build a network and load weights into it; stop early if it would be far larger than they are.

    Raises:
        ValueError: a weight is missing, unknown, of another shape or type, or not finite, or the network is too large.
    """
    with Bounded(FACTOR * sum(map(Tensor.numel, weights.values())) + MARGIN):
        network = build()
    assert_alike(weights, network.state_dict())
    assert_finite(weights)
    network.load_state_dict(dict(weights))
    return network


def assert_alike(weights: Mapping[str, Tensor], asked: Mapping[str, Tensor]) -> None:
    """Refuse weights whose names, shapes or types differ from those in `asked`.

    Raises:
        ValueError: a weight differs; the first one is named, with what it should be.
    """
    for name in sorted(asked.keys() | weights.keys()):
        theirs, mine = (_described(each.get(name)) for each in (weights, asked))
        if mine != theirs:
            raise ValueError(f"{name} is {theirs}, and in its network {mine}")


def assert_finite(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        ValueError: a weight has such values; the first one is named.
    """
    for name, tensor in sorted(weights.items()):
        if not tensor.isfinite().all():
            raise ValueError(f"{name} has values that are not finite")


def _described(tensor: Tensor | None) -> str:
    if tensor is None:
        return "not there"
    return f"{str(tensor.dtype).removeprefix('torch.')} of the shape {tuple(tensor.shape)}"
