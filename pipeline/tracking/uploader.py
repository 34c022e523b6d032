"""The uploader brings metrics from a training's spool to the tracking store, and is never in the training's way."""

from __future__ import annotations

import io
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from PIL import Image

from pipeline.system.errors import TrackingError
from pipeline.tracking.store import AWAY, said
from pipeline.training.spool import Item, Spool

PAUSE, LONGEST_PAUSE = 3.0, 30.0
"""Seconds between two rounds, and between two when the store is away."""
BATCH = 1000
"""Metrics that MLflow takes in one call."""
LOAD = 5.0
"""Seconds between two readings of the machine's load."""
CALL = 30.0
"""Seconds that a call to a store may take which does not answer."""


class Uploader(threading.Thread):
    """Delivers what a spool holds, in order; while the store is away, things wait there.

    MLflow keeps a metric once that it is told twice with the same time, and the spool keeps the time: so a delivery
    that was cut off may be repeated.
    """

    def __init__(self, client: MlflowClient, run_id: str, spool: Spool) -> None:
        """Set whose metrics go where."""
        super().__init__(name="uploader", daemon=True)
        self.client, self.run_id, self.spool = client, run_id, spool
        self.begun = client.get_run(run_id).info.start_time / 1000
        self.away = False
        self._over = threading.Event()

    def run(self) -> None:
        """Deliver every few seconds, until `close`."""
        monitor: Any = SystemMetricsMonitor(self.run_id)  # type: ignore[no-untyped-call]  # MLflow leaves it without types
        pause, read = PAUSE, time.monotonic()
        while not self._over.wait(pause):
            if time.monotonic() - read >= LOAD:
                read = time.monotonic()
                with suppress(TrackingError):  # the training itself says so, if metrics cannot be kept
                    self.spool.add(_load(monitor, int((time.time() - self.begun) / LOAD)))
            pause = PAUSE if self.deliver() else min(2 * pause, LONGEST_PAUSE)

    def deliver(self) -> bool:
        """Send what waits, and say whether all of it arrived."""
        try:
            while items := self.spool.waiting(BATCH):
                self._send(items)
                self.spool.sent(items)
            if status := self.spool.status:
                self.client.set_terminated(self.run_id, status, self.spool.ended)
                self.spool.status = None
        except (*AWAY, TrackingError) as error:
            if not self.away:
                sys.stderr.write(
                    f"warning: the tracking store is away ({said(error)}); metrics wait in {self.spool.path}\n"
                )
            self.away = True
            return False
        if self.away:
            sys.stderr.write("the tracking store is back, and has all metrics\n")
        self.away = False
        return True

    def close(self, status: str) -> None:
        """Give the run its status, and deliver the rest; what cannot be delivered is left for the next stage."""
        self._over.set()
        try:
            self.spool.status = status
            if self.is_alive():
                self.join(CALL)
            if self.is_alive() or not self.deliver():
                sys.stderr.write(
                    f"warning: the tracking store is away; {self.spool.count()} metrics and the status {status} wait "
                    f"in {self.spool.path}, and the next stage that runs, or `pipeline doctor`, delivers them\n"
                )
        except TrackingError as error:  # what ended the training is what is to be said of it
            sys.stderr.write(f"warning: {error}\n")

    def _send(self, items: list[Item]) -> None:
        metrics = [Metric(item.name, item.value, item.time, item.step) for item in items if item.png is None]
        if metrics:
            self.client.log_batch(self.run_id, metrics=metrics)
        for item in items:
            if item.png is not None and not self._has(item):
                picture = Image.open(io.BytesIO(item.png))
                self.client.log_image(self.run_id, picture, key=item.name, step=item.step, timestamp=item.time)

    def _has(self, item: Item) -> bool:
        """Say whether a picture arrived although that was not noted: MLflow gives each one a name of its own."""
        there = self.client.list_artifacts(self.run_id, "images")
        name = item.name.replace("/", "~")  # as in the names that it gives
        return any(f"/{name}+step+{item.step}+" in f"/{each.path}" for each in there)


def _load(monitor: Any, step: int) -> list[tuple[str, float, int]]:
    monitor.collect_metrics()
    metrics = [(f"system/{name}", float(value), step) for name, value in monitor.aggregate_metrics().items()]
    for each in monitor.monitors:
        each.clear_metrics()
    return metrics
