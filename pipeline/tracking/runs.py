"""MLflow runs, one per execution of the pipeline: train starts a run, evaluate and register resume it."""

from __future__ import annotations

import io
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from pipeline.data.prepared import PreparedData
from pipeline.models.saved import SavedModel
from pipeline.params import RuntimeParams, flatten
from pipeline.system.errors import UserError, undisturbed
from pipeline.system.processes import Process
from pipeline.tracking import store
from pipeline.tracking.abandoned import HEARTBEAT, mark_killed
from pipeline.tracking.context import context, machine, name
from pipeline.tracking.store import UNAVAILABLE, connect, first_line, reaching
from pipeline.tracking.uploader import Uploader
from pipeline.training.curves import Metrics
from pipeline.training.record import RunRecord
from pipeline.training.resume import Resumable
from pipeline.training.spool import Spool

if TYPE_CHECKING:
    from PIL.Image import Image

TICKET, RESTORED = "ticket", "restored_from"
NOTE = "mlflow.note.content"
"""The tag that MLflow's UI shows as the description of a run."""
BEAT = 20.0
"""Seconds between two heartbeats of a run."""


class Run:
    """A run that is written to directly; a failed write is an error."""

    def __init__(self, client: MlflowClient, record: RunRecord) -> None:
        """Set the client and the run."""
        self.client, self.id, self.experiment = client, record.run_id, record.experiment

    def scores(self, scores: Mapping[str, float]) -> None:
        """Log metrics without steps."""
        now = int(time.time() * 1000)
        with reaching():
            self.client.log_batch(self.id, [Metric(name, float(value), now, 0) for name, value in scores.items()])

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, replacing existing values."""
        with reaching():
            self.client.log_batch(self.id, tags=[RunTag(name, str(value)) for name, value in tags.items()])

    def files(self, folder: Path, to: str) -> None:
        """Log the files of a folder as artifacts, in the artifact folder `to`."""
        with reaching():
            self.client.log_artifacts(self.id, str(folder), to)

    def describe(self, text: str) -> None:
        """Set the run's description, in Markdown, unless it has one already."""
        with reaching():
            tags = self.client.get_run(self.id).data.tags
            if NOTE not in tags:
                self.client.set_tag(self.id, NOTE, text)


class Training:
    """A run whose training logs through a spool, so that an unavailable store does not stop the training."""

    def __init__(self, record: RunRecord, spool: Spool) -> None:
        """Set the run and the spool."""
        self.record, self.spool = record, spool

    def metrics(self, metrics: Metrics) -> None:
        """Log (name, value, step) of many metrics, each once."""
        self.spool.add(metrics)

    def image(self, image: Image, key: str, step: int) -> None:
        """Log an image, which MLflow's UI shows with a slider over steps."""
        data = io.BytesIO()
        image.save(data, "PNG")
        self.spool.add_picture(key, step, data.getvalue())

    def settled(self, step: int) -> None:
        """Record that no metric of an earlier step will be logged again."""
        self.spool.forget(step)


@contextmanager
def start(about: SavedModel, data: PreparedData, runtime: RuntimeParams, work: Resumable) -> Iterator[Training]:
    """Start the run of an execution of the pipeline, or resume the run of a killed training."""
    client = connect()
    with reaching():
        deliver_leftovers(client)
        mark_killed(client)
        record = work.record
        if record is None or not store.exists(client, record.run_id):
            experiment = str(data.about["source"])
            run_id = _begin(client, experiment, about, TICKET, work.ticket())
            source = json.dumps({"uri": data.about["homepage"] or experiment})
            dataset = Dataset(experiment, data.digest[:32], "local", source)
            with store.one_at_a_time():
                client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
            record = work.record = RunRecord(run_id, experiment, work.name)
        work.spool.status = None
        tags = context() | flatten({"runtime": runtime.model_dump()}) | machine(runtime)
        Run(client, record).tags(tags)
        uploader = Uploader(client, record.run_id, work.spool)
    with _at_work(client, record.run_id, uploader.close):
        uploader.start()
        yield Training(record, work.spool)


@contextmanager
def resume(record: RunRecord, about: SavedModel) -> Iterator[Run]:
    """Resume the run that train started, or a replacement tagged `restored_from` if this store does not have it.

    A run that has ended keeps its end time, that of the training: a later stage, perhaps days later, does not move it.
    """
    client = connect()
    with reaching():
        deliver_leftovers(client)
        mark_killed(client)
        run_id = record.run_id
        if not store.exists(client, run_id):
            run_id = _begin(client, record.experiment, about, RESTORED, run_id)
        ended = client.get_run(run_id).info.end_time
    with _at_work(client, run_id, lambda status: _terminate(client, run_id, status, ended)):
        yield Run(client, RunRecord(run_id, record.experiment, record.training))


def folder_address(run_id: str, folder: str) -> str:
    """Return the address of an artifact folder, relative to any page of MLflow's UI; append the name of a file."""
    return f"get-artifact?run_uuid={run_id}&path={quote(folder)}/"


def deliver_leftovers(client: MlflowClient) -> None:
    """Deliver the pending metrics and statuses of trainings whose process has ended."""
    for work in Resumable.all():
        if work.trainer:
            continue  # it delivers them itself
        try:
            record = work.record
            if record and (work.spool.count() or work.spool.status):
                with work.alone():
                    Uploader(client, record.run_id, work.spool).deliver()
        except (*UNAVAILABLE, UserError) as error:
            sys.stderr.write(f"warning: {work.folder}: cannot deliver its metrics ({first_line(error)})\n")


def _begin(client: MlflowClient, experiment: str, about: SavedModel, tag: str, value: str) -> str:
    """Return the run with a tag, or create it: a kill before the run is recorded leaves no second one."""
    place = store.experiment(client, experiment)
    found = client.search_runs([place], f"tags.{tag} = '{value}'", max_results=1)
    if found:
        run = found[0]
    else:
        newest = client.search_runs([place], max_results=1, order_by=["attributes.start_time DESC"])
        called = name(about.effective, newest[0].data.params if newest else {})
        run = client.create_run(place, tags={tag: value}, run_name=called)
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in about.effective.items()])
    return str(run.info.run_id)


@contextmanager
def _at_work(client: MlflowClient, run_id: str, end: Callable[[str], None]) -> Iterator[None]:
    """Keep the status of a run correct: RUNNING inside the context, then FINISHED, FAILED or KILLED.

    Tags name this process, and a heartbeat shows other machines that it is alive.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.is_set():
            with suppress(*UNAVAILABLE):
                client.set_tag(run_id, HEARTBEAT, int(time.time()))
            over.wait(BEAT)

    with reaching():
        tags = [RunTag(f"process.{name}", str(value)) for name, value in asdict(Process.this()).items()]
        client.log_batch(run_id, tags=tags)
        client.update_run(run_id, status="RUNNING")
    threading.Thread(target=beat, name="heartbeat", daemon=True).start()
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        undisturbed()
        status = "KILLED"
        raise
    finally:
        over.set()
        end(status)


def _terminate(client: MlflowClient, run_id: str, status: str, ended: int | None) -> None:
    try:
        client.set_terminated(run_id, status, ended)
    except UNAVAILABLE as error:
        sys.stderr.write(
            f"warning: the tracking store is unavailable ({first_line(error)}); run {run_id} stays RUNNING until this "
            "stage runs again, or `pipeline doctor --mark-killed`\n"
        )
