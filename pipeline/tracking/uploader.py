"""The uploader sends metrics from a training's spool to the tracking store, without blocking the training."""

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
from pipeline.tracking.store import UNAVAILABLE, first_line
from pipeline.training.spool import Item, Spool

PAUSE, LONGEST_PAUSE = 3.0, 30.0
"""Seconds between two deliveries, and at most while the store is unavailable."""
BATCH = 1000
"""Metrics that MLflow accepts in one call."""
LOAD = 5.0
"""Seconds between two readings of the machine's load."""
CALL = 30.0
"""Seconds to wait for a call that the store does not answer."""


class Uploader(threading.Thread):
    """Delivers the metrics and pictures in a spool, in order; they stay in the spool while the store is unavailable.

    MLflow stores a metric once that arrives twice with the same time, and the spool keeps the time: an interrupted
    delivery can be repeated.
    """

    def __init__(self, client: MlflowClient, run_id: str, spool: Spool) -> None:
        """Set the run, and the spool of its training."""
        super().__init__(name="uploader", daemon=True)
        self.client, self.run_id, self.spool = client, run_id, spool
        self.begun = client.get_run(run_id).info.start_time / 1000
        self.unavailable = False
        self._over = threading.Event()

    def run(self) -> None:
        """Deliver every few seconds, until `close`."""
        monitor: Any = SystemMetricsMonitor(self.run_id)  # type: ignore[no-untyped-call]  # MLflow leaves it without types
        pause, read = PAUSE, time.monotonic()
        while not self._over.wait(pause):
            if time.monotonic() - read >= LOAD:
                read = time.monotonic()
                with suppress(TrackingError):  # the training itself reports that its spool fails
                    self.spool.add(_load(monitor, int((time.time() - self.begun) / LOAD)))
            pause = PAUSE if self.deliver() else min(2 * pause, LONGEST_PAUSE)

    def deliver(self) -> bool:
        """Send all that is in the spool, and return whether all of it arrived."""
        try:
            while items := self.spool.waiting(BATCH):
                self._send(items)
                self.spool.sent(items)
            if status := self.spool.status:
                self.client.set_terminated(self.run_id, status, self.spool.ended)
                self.spool.status = None
        except (*UNAVAILABLE, TrackingError) as error:
            if not self.unavailable:
                sys.stderr.write(
                    f"warning: the tracking store is unavailable ({first_line(error)}); "
                    f"metrics wait in {self.spool.path}\n"
                )
            self.unavailable = True
            return False
        if self.unavailable:
            sys.stderr.write("the tracking store is available again and has all metrics\n")
        self.unavailable = False
        return True

    def close(self, status: str) -> None:
        """Set the run's status and deliver the rest; the next stage delivers what remains."""
        self._over.set()
        try:
            self.spool.status = status
            if self.is_alive():
                self.join(CALL)
            if self.is_alive() or not self.deliver():
                sys.stderr.write(
                    f"warning: the tracking store is unavailable; {self.spool.count()} metrics and the status {status} "
                    f"wait in {self.spool.path}; the next stage, or `pipeline doctor`, delivers them\n"
                )
        except TrackingError as error:  # must not hide the error that ended the training
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
        """Return whether a picture arrived before a kill: MLflow would store it twice, under a unique name each."""
        there = self.client.list_artifacts(self.run_id, "images")
        name = item.name.replace("/", "~")  # as in MLflow's file names
        return any(f"/{name}+step+{item.step}+" in f"/{each.path}" for each in there)


def _load(monitor: Any, step: int) -> list[tuple[str, float, int]]:
    monitor.collect_metrics()
    metrics = [(f"system/{name}", float(value), step) for name, value in monitor.aggregate_metrics().items()]
    for each in monitor.monitors:
        each.clear_metrics()
    return metrics
