"""Checks of the tracking store, and of runs in it whose process is dead."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipeline.cli.doctor.findings import Finding
from pipeline.system.errors import TrackingError


def examine() -> Iterator[Finding]:
    """Check that the store answers, deliver pending metrics, and look for runs whose process is dead."""
    from pipeline import tracking

    begun = time.monotonic()
    try:
        client = tracking.connect()
        with tracking.reaching():
            tracking.deliver_leftovers(client)
            dead = list(tracking.abandoned(client))
    except TrackingError as error:
        yield Finding("tracking", False, str(error))
        return
    yield Finding("tracking", True, f"{client.tracking_uri} answered in {time.monotonic() - begun:.1f} s")
    for run_id, process in dead:
        text = (
            f"{run_id} has the status RUNNING, but {process} is dead; `dvc repro` resumes its training, "
            "`pipeline doctor --mark-killed` sets the status to KILLED"
        )
        yield Finding("run", False, text)


def mark_killed() -> Iterator[str]:
    """Set the status of runs whose process is dead to KILLED; yield a line for each."""
    from pipeline import tracking

    client = tracking.connect()
    with tracking.reaching():
        found = tracking.mark_killed(client)
    for run_id in found:
        yield f"run {run_id} now has the status KILLED"
