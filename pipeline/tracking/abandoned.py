"""Runs that say RUNNING though nobody is at them: a process that was killed could not say so."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.system.processes import Process

HEARTBEAT = "process.heartbeat"
"""The tag that says when a run's process lived last, in seconds since 1970."""
SILENCE = 300.0
"""Seconds without a heartbeat after which a process of another machine counts as gone."""
MOST = 1000


def abandoned(client: MlflowClient) -> Iterator[tuple[str, Process]]:
    """Yield the runs that say RUNNING, each with the process that was at it and is gone.

    Runs that name no process are not this package's, and are left alone.
    """
    for run, process in _abandoned(client):
        yield str(run.info.run_id), process


def mark_killed(client: MlflowClient) -> list[str]:
    """Give such runs the status KILLED, and return their ids.

    One whose training had ended keeps that end; another one ended with its last heartbeat.
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
        if process and not _lives(process, float(run.data.tags.get(HEARTBEAT, 0))):
            yield run, process


def _process_of(run: Run) -> Process | None:
    tags = run.data.tags
    try:
        return Process(tags["process.host"], int(tags["process.pid"]), float(tags["process.started"]))
    except (KeyError, ValueError):
        return None


def _lives(process: Process, heartbeat: float) -> bool:
    """Say whether a process lives, as one sees it on its own machine, and by its heartbeat from another."""
    return process.alive if process.here else time.time() - heartbeat < SILENCE
