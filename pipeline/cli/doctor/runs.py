"""The tracking store, and runs in it that say RUNNING though nobody is at them."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipeline.cli.doctor.findings import Finding
from pipeline.system.errors import TrackingError


def examine() -> Iterator[Finding]:
    """Look whether the store answers, have it take the metrics that wait, and look for runs whose process is gone."""
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
    yield Finding("tracking", True, f"{client.tracking_uri} answers, in {time.monotonic() - begun:.1f} s")
    for run_id, process in dead:
        text = (
            f"{run_id} says RUNNING, and {process} is gone; `dvc repro` goes on with what it left, "
            "`pipeline doctor --mark-killed` gives it the status KILLED"
        )
        yield Finding("run", False, text)
