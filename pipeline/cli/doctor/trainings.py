"""Checks of unfinished trainings: their process, pending metrics and size on disk."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.cli.doctor.findings import Finding
from pipeline.training.resume import Resumable

DAY = 86_400


def examine() -> Iterator[Finding]:
    """Check each unfinished training."""
    found = Resumable.all()
    for work in found:
        about = f"{_described(work)}, {_size(work)}"
        waiting = work.spool.count()
        if trainer := work.trainer:
            yield Finding("training", True, f"{about}, is being trained by {trainer}")
        elif waiting or work.spool.status:
            text = f"{about}, has {waiting} metrics pending for the tracking store; the next stage delivers them"
            yield Finding("training", False, text)
        else:
            yield Finding("training", True, f"{about}, idle for {work.idle / 3600:.1f} hours; `dvc repro` resumes it")
    if not found:
        yield Finding("training", True, "none unfinished")


def clean(days: float) -> Iterator[str]:
    """Remove the trainings that have no process and have been idle for more than `days`; yield a line for each step."""
    old = [work for work in Resumable.all() if not work.trainer and work.idle > days * DAY]
    for work in old:
        yield f"to be removed: {_described(work)}, {_size(work)}"
    for work in old:
        yield f"{'removed' if work.clear() else 'kept, since a trainer started'}: {work.folder}"
    if not old:
        yield f"no unfinished training has been inactive for {days:g} days"


def _described(work: Resumable) -> str:
    """Return the name, experiment and step of a training."""
    record = work.record
    return f"{work.name} ({record.experiment if record else 'not started'}, step {work.steps})"


def _size(work: Resumable) -> str:
    """Return the size of a training on disk, in MiB."""
    return f"{work.size / 2**20:.1f} MiB"
