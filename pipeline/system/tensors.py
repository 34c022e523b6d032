"""Weights from a file, held against the network that is to take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

M = TypeVar("M", bound=nn.Module)
MAKING = (torch.empty, torch.zeros, torch.ones, torch.full)
"""What networks are made of."""
TIMES, BESIDES = 4, 1 << 20
"""How many times the weights of a file, and how many beside them, a network may have while it is built: a GAN's
critic is built, and not kept."""


class Bounded(TorchFunctionMode):
    """Refuses to make more numbers than a bound, before they take any memory."""

    def __init__(self, most: int) -> None:
        """Set the bound."""
        super().__init__()
        self.left = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked, unless it goes past the bound.

        Raises:
            ValueError: it does, or nothing has that shape.
        """
        kwargs = kwargs or {}
        if func in MAKING:
            try:
                self.left -= func(*args, **{**kwargs, "device": "meta"}).numel()
            except (OverflowError, RuntimeError, TypeError) as error:
                raise ValueError(f"no network has these sizes: {str(error).partition(chr(10))[0]}") from error
            if self.left < 0:
                raise ValueError("its network has many times as many weights")
        return func(*args, **kwargs)


def filled(build: Callable[[], M], weights: Mapping[str, Tensor]) -> M:
    """Return a network with given weights, which is not built where it would be far larger than they are.

    Raises:
        ValueError: a weight is missing, unknown, of another shape or type, or not finite.
    """
    with Bounded(TIMES * sum(map(Tensor.numel, weights.values())) + BESIDES):
        network = build()
    assert_alike(weights, network.state_dict())
    assert_finite(weights)
    network.load_state_dict(dict(weights))
    return network


def assert_alike(weights: Mapping[str, Tensor], asked: Mapping[str, Tensor]) -> None:
    """Refuse weights of other names, shapes or types than are asked for.

    Raises:
        ValueError: which one, and what it should be.
    """
    for name in sorted(asked.keys() | weights.keys()):
        theirs, mine = (_described(each.get(name)) for each in (weights, asked))
        if mine != theirs:
            raise ValueError(f"{name} is {theirs}, and in its network {mine}")


def assert_finite(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights among which one is NaN or infinite.

    Raises:
        ValueError: that is so.
    """
    for name, tensor in sorted(weights.items()):
        if not tensor.isfinite().all():
            raise ValueError(f"{name} has values that are not finite")


def _described(tensor: Tensor | None) -> str:
    if tensor is None:
        return "not there"
    return f"{str(tensor.dtype).removeprefix('torch.')} of the shape {tuple(tensor.shape)}"
