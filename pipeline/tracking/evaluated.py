"""Runs that were evaluated, found by what a person calls them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from pipeline.errors import TrackingError
from pipeline.tracking.store import reaching

EXPERIMENT = "dvc.experiment"


@dataclass(frozen=True)
class Evaluated:
    """A run's params, and the folder of what its evaluation left."""

    run_id: str
    params: dict[str, str]
    folder: Path


def evaluated(client: MlflowClient, name: str, to: Path) -> Evaluated:
    """Fetch the evaluation of a run id, of models:/NAME/VERSION or models:/NAME@ALIAS, or of an experiment of DVC.

    Raises:
        TrackingError: there is no such run, or it was not evaluated.
    """
    with reaching():
        run = _version(client, name) if name.startswith("models:/") else _run(client, name)
    if run is None:
        raise TrackingError(
            f"{name} is no folder, run id, models:/NAME@ALIAS, models:/NAME/VERSION or experiment of `dvc exp show` "
            "that was tracked; `mlflow ui` lists what there is"
        )
    run_id = str(run.info.run_id)
    try:
        found = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="evaluate", dst_path=str(to))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"run {run_id} has no evaluation ({str(error).splitlines()[0]}); run `dvc repro`"
        ) from error
    return Evaluated(run_id, dict(run.data.params), Path(found))


def _run(client: MlflowClient, name: str) -> Run | None:
    try:
        return client.get_run(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
    if "'" in name:
        return None
    places = [each.experiment_id for each in client.search_experiments()]
    found = client.search_runs(places, f"tags.`{EXPERIMENT}` = '{name}'", max_results=1)
    return found[0] if found else None


def _version(client: MlflowClient, uri: str) -> Run | None:
    name, at, alias = uri.removeprefix("models:/").rpartition("@")
    try:
        if at:
            version = client.get_model_version_by_alias(name, alias)
        else:
            name, _, number = uri.removeprefix("models:/").rpartition("/")
            version = client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None
    return client.get_run(version.run_id) if version.run_id else None
