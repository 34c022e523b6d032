"""Lightning's checkpoints as safetensors, so that no pickle is written or read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.system.errors import TrainingError
from pipeline.training import checkpoints

TREE = "tree"
STEPS = "done"
"""The entry of a checkpoint that counts the steps taken."""


class SafetensorsIO(CheckpointIO):
    """Writes a checkpoint's tensors as safetensors, and the rest as JSON in the file's metadata."""

    def __init__(self, hold: Callable[[Any], None] = lambda tree: None) -> None:
        """Set the function that raises a ValueError for a tree that is not a checkpoint of the training."""
        self.hold = hold

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Add a checkpoint to those in the folder `path`.

        Raises:
            TrainingError: it cannot be written; earlier checkpoints are unchanged.
        """
        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_pack(checkpoint, tensors))
        checkpoints.add(Path(path), checkpoint[STEPS], save(tensors, {TREE: tree}))

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        """Read one checkpoint, onto the CPU.

        Raises:
            TrainingError: the file is not a checkpoint of this training.
        """
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
                tree: dict[str, Any] = _unpack(json.loads(file.metadata()[TREE]), tensors)
            self.hold(tree)
            if tree[STEPS] != checkpoints.steps(Path(path)):
                raise ValueError(f"it is of step {tree[STEPS]}")
        except (IndexError, KeyError, OSError, RecursionError, SafetensorError, TypeError, ValueError) as error:
            raise TrainingError(
                f"{path}: not a checkpoint of this training ({error}); remove it to resume from the one before"
            ) from error
        return tree

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def _pack(node: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a tree as JSON holds it: mappings become lists of pairs, since their keys may be integers."""
    match node:
        case Tensor():
            name = str(len(tensors))
            tensors[name] = node.detach().cpu().contiguous()
            return {"tensor": name}
        case dict():
            return {"dict": [[key, _pack(value, tensors)] for key, value in node.items()]}
        case tuple():
            return {"tuple": [_pack(value, tensors) for value in node]}
        case list():
            return [_pack(value, tensors) for value in node]
        case None | bool() | int() | float() | str():
            return node
        case _:
            raise TypeError(f"a checkpoint holds tensors and plain values, not {type(node).__name__}")


def _unpack(node: Any, tensors: dict[str, Tensor]) -> Any:
    match node:
        case {"tensor": name}:
            return tensors[name]
        case {"dict": pairs}:
            return {key: _unpack(value, tensors) for key, value in pairs}
        case {"tuple": values}:
            return tuple(_unpack(value, tensors) for value in values)
        case list():
            return [_unpack(value, tensors) for value in node]
        case _:
            return node
