"""Abandoned runs: their status is RUNNING, but their process was killed before it could change that."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.system.processes import Process

HEARTBEAT = "process.heartbeat"
"""The tag with the time when a run's process was last alive, in seconds since 1970."""
SILENCE = 300.0
"""Seconds without a heartbeat after which a process of another machine counts as dead."""
MOST = 1000


def abandoned(client: MlflowClient) -> Iterator[tuple[str, Process]]:
    """Yield the id and the dead process of each abandoned run.

    Runs whose tags name no process were not started by this package, and are left alone.
    """
    for run, process in _abandoned(client):
        yield str(run.info.run_id), process


def mark_killed(client: MlflowClient) -> list[str]:
    """Set the status of abandoned runs to KILLED, and return their ids.

    A run whose training had ended keeps its end time; any other gets the time of its last heartbeat.
    """
    found = [run for run, _ in _abandoned(client)]
    for run in found:
        beat = int(float(run.data.tags.get(HEARTBEAT, 0)) * 1000)
        client.set_terminated(run.info.run_id, "KILLED", run.info.end_time or beat)
    return [str(run.info.run_id) for run in found]


def _abandoned(client: MlflowClient) -> Iterator[tuple[Run, Process]]:
    places = [each.experiment_id for each in client.search_experiments()]
    for run in client.search_runs(places, "attributes.status = 'RUNNING'", max_results=MOST) if places else []:
        process = _process_of(run)
        if process and not _is_alive(process, float(run.data.tags.get(HEARTBEAT, 0))):
            yield run, process


def _process_of(run: Run) -> Process | None:
    tags = run.data.tags
    try:
        return Process(tags["process.host"], int(tags["process.pid"]), float(tags["process.started"]))
    except (KeyError, ValueError):
        return None


def _is_alive(process: Process, heartbeat: float) -> bool:
    """Return whether a process is alive: on this machine by its pid, on another by its heartbeat."""
    return process.alive if process.here else time.time() - heartbeat < SILENCE
