"""Runs and figures in MLflow: with registry.py, the only place that talks to its tracking store."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import platform
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from pipeline import project
from pipeline.artefacts import PreparedData, RunRecord, SavedModel
from pipeline.errors import TrackingError
from pipeline.figures import Figures
from pipeline.params import RuntimeParams, flatten

if TYPE_CHECKING:
    from PIL.Image import Image

STORE = os.environ.get("MLFLOW_TRACKING_URI")
"""The store that the user named; read before MLflow sets the variable itself."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Has the UI open an experiment as one of model training."""
BATCH = 1000
"""Metrics that MLflow takes in one call."""
SYSTEM_INTERVAL = 5.0
"""Seconds between two readings of the machine's load."""


def connect() -> MlflowClient:
    """Return a client of the store that MLFLOW_TRACKING_URI names, else of mlflow.db in the main repository.

    The first use of a fresh database migrates it, which only one process may do at a time.
    """
    root = project.main_root()
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    uri = STORE or f"sqlite:///{root / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    with _locked():
        return MlflowClient(uri, uri)


class Run:
    """One tracked run, written to directly and in batches."""

    def __init__(self, client: MlflowClient, run_id: str, experiment: str) -> None:
        """Set which run of which experiment."""
        self.client, self.id, self.experiment = client, run_id, experiment

    def figures(self, figures: Figures) -> None:
        """Log name, value and step of many figures, in as few calls as MLflow allows."""
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in figures]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(self.id, metrics=metrics[start : start + BATCH])

    def scores(self, scores: Mapping[str, float]) -> None:
        """Log figures that have no steps."""
        self.figures([(name, float(value), 0) for name, value in scores.items()])

    def tags(self, tags: Mapping[str, Any]) -> None:
        """Set tags, over what they were."""
        self.client.log_batch(self.id, tags=[RunTag(name, str(value)) for name, value in tags.items()])

    def image(self, image: Image, key: str, step: int) -> None:
        """Log an image that the UI shows with a slider over steps."""
        self.client.log_image(self.id, image, key=key, step=step)

    def files(self, folder: Path, to: str) -> None:
        """Log the files of a folder as artifacts."""
        self.client.log_artifacts(self.id, str(folder), to)


@contextmanager
def start(about: SavedModel, data: PreparedData, runtime: RuntimeParams, run_id: str | None) -> Iterator[Run]:
    """Begin the run of a pipeline's execution, or go on in the one that a killed training left."""
    client = connect()
    experiment = str(data.about["source"])
    if run_id is None or not _exists(client, run_id):
        run_id = _create(client, experiment, about.family, {})
        client.log_batch(
            run_id, params=[Param(name, str(value)) for name, value in flatten(dict(about.params)).items()]
        )
        source = json.dumps({"uri": data.about["homepage"] or experiment})
        dataset = Dataset(experiment, data.digest[:32], "local", source)
        with _locked():
            client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    run = Run(client, run_id, experiment)
    run.tags(context() | flatten({"runtime": runtime.model_dump()}) | machine())
    with _finishing(run), _system_metrics(run_id):
        yield run


@contextmanager
def resume(record: RunRecord) -> Iterator[Run]:
    """Go on in the run that train made; where this store does not hold it, in a replacement tagged `restored_from`."""
    client = connect()
    run_id = record.run_id
    if not _exists(client, run_id):
        found = client.search_runs(
            [_experiment(client, record.experiment)], f"tags.restored_from = '{run_id}'", max_results=1
        )
        run_id = (
            found[0].info.run_id if found else _create(client, record.experiment, "restored", {"restored_from": run_id})
        )
    run = Run(client, run_id, record.experiment)
    with _finishing(run):
        yield run


def context() -> dict[str, str]:
    """Return where a run comes from: git, the DVC stage, and the DVC experiment if it is one."""
    tags = {"dvc.stage": os.environ.get("DVC_STAGE", ""), "dvc.experiment": os.environ.get("DVC_EXP_NAME", "")}
    found = {name: value for name, value in tags.items() if value} | git()
    return found | {
        "mlflow.source.name": project.LAYOUT,
        "mlflow.source.git.commit": found["git.commit"],
        "mlflow.user": os.environ.get("USER", "unknown"),
    }


def git() -> dict[str, str]:
    """Return the commit, the branch, and whether files differ from the commit; dvc.lock, which DVC is writing, may."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=project.workspace(), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return {
        "git.commit": ask("rev-parse", "HEAD"),
        "git.branch": ask("rev-parse", "--abbrev-ref", "HEAD"),
        "git.dirty": str(bool(ask("status", "--porcelain", "--", ".", ":!dvc.lock"))).lower(),
    }


def machine() -> dict[str, str]:
    """Return what the run runs on."""
    import torch

    return {
        "machine.python": platform.python_version(),
        "machine.torch": torch.__version__,
        "machine.platform": platform.platform(),
        "machine.threads": str(torch.get_num_threads()),
    }


def _create(client: MlflowClient, experiment: str, name: str, tags: dict[str, str]) -> str:
    return str(client.create_run(_experiment(client, experiment), tags=tags, run_name=name).info.run_id)


def _experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, made under a lock where it is new, its artifacts beside mlflow.db by default."""
    root = project.main_root()
    with _locked():
        found = client.get_experiment_by_name(name)
        if found and found.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name} was deleted from the tracking store; "
                f"`mlflow experiments restore -x {found.experiment_id}` brings it back"
            )
        if found:
            return str(found.experiment_id)
        beside = None if STORE else (root / "mlartifacts" / name).as_uri()
        return str(client.create_experiment(name, beside, tags=KIND))


def _exists(client: MlflowClient, run_id: str) -> bool:
    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException:
        return False


@contextmanager
def _finishing(run: Run) -> Iterator[None]:
    """Keep the run's status true: RUNNING within, then FINISHED, FAILED or KILLED."""
    run.client.update_run(run.id, status="RUNNING")
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except (KeyboardInterrupt, SystemExit):
        status = "KILLED"
        raise
    finally:
        run.client.set_terminated(run.id, status)


@contextmanager
def _system_metrics(run_id: str) -> Iterator[None]:
    """Log the machine's load beside the figures."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor: Any = SystemMetricsMonitor(run_id, sampling_interval=SYSTEM_INTERVAL, resume_logging=True)  # type: ignore[no-untyped-call]
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()


@contextmanager
def _locked() -> Iterator[None]:
    """Let one process at a time do what MLflow does in two steps: look whether something is there, and make it."""
    path = project.main_root() / ".pipeline" / "store.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
