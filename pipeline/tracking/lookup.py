"""Runs that were evaluated, found by what a person calls them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from pipeline.system.errors import TrackingError
from pipeline.tracking.store import AWAY, reaching, said

EXPERIMENT, REGISTERED = "dvc.experiment", "registered"


@dataclass(frozen=True)
class Evaluated:
    """A run's params, and the folder of what its evaluation left."""

    run_id: str
    params: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Scored:
    """A registered version, the digest of the protocol that it was scored by last, and all metrics of its run."""

    name: str
    version: str
    model_digest: str
    protocol_digest: str
    scores: Mapping[str, float]


def evaluated(client: MlflowClient, name: str, to: Path) -> Evaluated:
    """Fetch the evaluation of a run id, of models:/NAME/VERSION or models:/NAME@ALIAS, or of an experiment of DVC.

    Raises:
        TrackingError: there is no such run, or it was not evaluated.
    """
    with reaching():
        found = version(client, name) if name.startswith("models:/") else None
        run = _run_of(client, found) if name.startswith("models:/") else _run(client, name)
    if run is None:
        raise TrackingError(
            f"{name} is no folder, run id, models:/NAME@ALIAS, models:/NAME/VERSION or experiment of `dvc exp show` "
            "that was tracked; `mlflow ui` lists what there is"
        )
    run_id = str(run.info.run_id)
    try:
        # a version's evidence is what it was registered with last, and its run may have been evaluated otherwise since
        place = found.tags["lineage"] if found else "evaluate"
        fetched = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=place, dst_path=str(to))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"run {run_id} has no evaluation ({str(error).splitlines()[0]}); run `dvc repro`"
        ) from error
    return Evaluated(run_id, dict(run.data.params), Path(fetched))


def registered(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version that a run was registered as, by its id or by its experiment of DVC."""
    run = _run(client, name)
    return version(client, run.data.tags[REGISTERED]) if run and REGISTERED in run.data.tags else None


def scored(client: MlflowClient, uri: str) -> Scored | None:
    """Return what the registry knows of models:/NAME@ALIAS; None if there is none, or the store does not say."""
    try:
        found = version(client, uri)
        run = _run_of(client, found)
    except AWAY as error:
        sys.stderr.write(f"warning: {uri} cannot be looked up ({said(error)})\n")
        return None
    if found is None or run is None:
        return None
    digests = found.tags.get("model_digest", ""), run.data.tags.get("protocol.digest", "")
    return Scored(str(found.name), str(found.version), *digests, run.data.metrics)


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


def version(client: MlflowClient, uri: str) -> ModelVersion | None:
    """Return the version that models:/NAME/VERSION or models:/NAME@ALIAS names."""
    name, at, alias = uri.removeprefix("models:/").rpartition("@")
    try:
        if at:
            return client.get_model_version_by_alias(name, alias)
        name, _, number = uri.removeprefix("models:/").rpartition("/")
        return client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _run_of(client: MlflowClient, found: ModelVersion | None) -> Run | None:
    return client.get_run(found.run_id) if found and found.run_id else None
