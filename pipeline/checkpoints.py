"""Checkpoints of a training in progress: durable, checked, and as safetensors, so that no pickle is written or read."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import CheckpointIO
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from pipeline.errors import TrainingError

TREE = "tree"
KEPT = 2
STEPS = "done"
"""The entry of a checkpoint that counts the steps taken."""


class SafetensorsIO(CheckpointIO):
    """Keeps the newest two of Lightning's checkpoints in a folder, as <steps>-<digest of its bytes>.ckpt.

    The tensors are stored as safetensors, the rest as JSON in the file's metadata.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Add a checkpoint to the folder `path`: it has its name only once all of it has reached the disk.

        Raises:
            TrainingError: it cannot be written; the ones before it are as they were.
        """
        folder, steps = Path(path), checkpoint[STEPS]
        tensors: dict[str, Tensor] = {}
        tree = json.dumps(_pack(checkpoint, tensors))
        data = save(tensors, {TREE: tree})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_durably(folder / f"{steps:012d}-{_digest(data)}.ckpt", data)
            for old in saved(folder)[KEPT:]:
                old.unlink()
        except OSError as error:
            raise TrainingError(
                f"{folder}: the checkpoint of step {steps} cannot be written ({error.strerror}); those before it are "
                "whole: make room, or make the folder writable, and run it again to go on from there"
            ) from error

    def load_checkpoint(self, path: str | Path, *args: Any, **options: Any) -> dict[str, Any]:
        """Read one checkpoint, onto the CPU."""
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
            tree: dict[str, Any] = _unpack(json.loads(file.metadata()[TREE]), tensors)
        return tree

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def saved(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, whole or not, the newest first."""
    return sorted(folder.glob("*.ckpt"), reverse=True)


def steps(path: Path) -> int:
    """Return the count of steps that a checkpoint was saved after."""
    return int(path.stem.partition("-")[0])


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint; None where there are none at all.

    Raises:
        TrainingError: there are checkpoints, and none of them is whole.
    """
    found = saved(folder)
    for path in found:
        if _is_whole(path):
            return path
    if found:
        raise TrainingError(
            f"{folder}: none of its {len(found)} checkpoints is whole; restore one from a backup, or remove the folder "
            f"{folder.parent} to train from the start"
        )
    return None


def set_aside(folder: Path) -> None:
    """Rename, and name on stderr, what is damaged and newer than the newest whole checkpoint."""
    whole = newest(folder)
    for path in saved(folder):
        if path == whole:
            return
        sys.stderr.write(f"warning: the checkpoint {path} is damaged; going on from the one before it\n")
        path.replace(path.with_suffix(".damaged"))


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that is whole whenever it is there, also after a loss of power."""
    temporary = path.parent / ".writing"
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    entry = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def _is_whole(path: Path) -> bool:
    try:
        return path.stem.partition("-")[2] == _digest(path.read_bytes())
    except FileNotFoundError:  # another process of the same training has set it aside
        return False


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _pack(node: Any, tensors: dict[str, Tensor]) -> Any:
    """Return a tree as JSON can hold it: mappings as lists of pairs, since their keys may be integers."""
    match node:
        case Tensor():
            name = str(len(tensors))
            tensors[name] = node.detach().cpu().clone(memory_format=torch.contiguous_format)
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
