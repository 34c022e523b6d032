"""Trainings in progress: who is at them, what they take on disk, and the old ones."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.cli.doctor.findings import Finding
from pipeline.training.resume import Resumable

DAY = 86_400


def examine() -> Iterator[Finding]:
    """Look at each training whose folder lies there."""
    found = Resumable.all()
    for work in found:
        about = f"{described(work)}, {size(work)}"
        waiting = work.spool.count()
        if trainer := work.trainer:
            yield Finding("training", True, f"{about}, is being trained by {trainer}")
        elif waiting or work.spool.status:
            text = f"{about}, has {waiting} metrics that wait for the tracking store; the next stage delivers them"
            yield Finding("training", False, text)
        else:
            yield Finding(
                "training", True, f"{about}, idle for {work.idle / 3600:.1f} hours; the stage goes on from there"
            )
    if not found:
        yield Finding("training", True, "none in progress")


def old(days: float) -> list[Resumable]:
    """Return the trainings that nobody is at, nor was for some days."""
    return [work for work in Resumable.all() if not work.trainer and work.idle > days * DAY]


def described(work: Resumable) -> str:
    """Return which training it is."""
    record = work.record
    return f"{work.name} ({record.experiment if record else 'not begun'}, step {work.steps})"


def size(work: Resumable) -> str:
    """Return what it takes on disk."""
    return f"{work.size / 2**20:.1f} MiB"
