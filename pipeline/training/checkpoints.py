"""Checkpoint files: written durably, checked by their digest; the newest two of a training are kept."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from pipeline.system.disk import write_durably
from pipeline.system.errors import TrainingError

KEPT = 2


def add(folder: Path, steps: int, data: bytes) -> None:
    """Write a checkpoint as <steps>-<digest of its bytes>.ckpt, and remove all but the newest two.

    Raises:
        TrainingError: it cannot be written; earlier checkpoints are unchanged.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / f"{steps:012d}-{_digest(data)}.ckpt", data)
        for old in saved(folder)[KEPT:]:
            old.unlink()
    except OSError as error:
        raise TrainingError(
            f"{folder}: the checkpoint of step {steps} cannot be written ({error.strerror}); those before it are "
            "whole: free space, or make the folder writable, and run it again to resume from there"
        ) from error


def saved(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, whole or not, the newest first."""
    return sorted(folder.glob("*.ckpt"), reverse=True)


def steps(path: Path) -> int:
    """Return the number of steps after which a checkpoint was saved."""
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
    """Rename corrupt checkpoints that are newer than the newest whole one, with a warning for each."""
    whole = newest(folder)
    for path in saved(folder):
        if path == whole:
            return
        sys.stderr.write(f"warning: the checkpoint {path} is corrupt; resuming from the one before it\n")
        path.replace(path.with_suffix(".corrupt"))


def _is_whole(path: Path) -> bool:
    try:
        return path.stem.partition("-")[2] == _digest(path.read_bytes())
    except FileNotFoundError:  # another process of the same training has set it aside
        return False


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
