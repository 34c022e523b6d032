"""Lookup of runs and versions by run id, DVC experiment or models:/ URI."""

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
from pipeline.tracking.store import UNAVAILABLE, first_line, reaching

EXPERIMENT, REGISTERED = "dvc.experiment", "registered"


@dataclass(frozen=True)
class Evaluated:
    """A run's params, and the folder of its downloaded evaluation."""

    run_id: str
    params: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Scored:
    """A registered version, the digest of the protocol of its last evaluation, and all metrics of its run."""

    name: str
    version: str
    model_digest: str
    protocol_digest: str
    scores: Mapping[str, float]


def evaluated(client: MlflowClient, name: str, to: Path) -> Evaluated:
    """Download the evaluation of a run id, a DVC experiment, models:/NAME/VERSION or models:/NAME@ALIAS.

    Raises:
        TrackingError: there is no such run, or it was not evaluated.
    """
    with reaching():
        found = version(client, name) if name.startswith("models:/") else None
        run = _run_of(client, found) if name.startswith("models:/") else _run(client, name)
    if run is None:
        raise TrackingError(
            f"{name} is not a folder, run id, models:/NAME@ALIAS, models:/NAME/VERSION or tracked DVC experiment; "
            "`mlflow ui` lists runs and versions"
        )
    run_id = str(run.info.run_id)
    try:
        # a version keeps the evidence that it was last registered with; its run may have been evaluated again since
        place = found.tags["lineage"] if found else "evaluate"
        fetched = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=place, dst_path=str(to))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"run {run_id} has no evaluation ({str(error).splitlines()[0]}); run `dvc repro`"
        ) from error
    return Evaluated(run_id, dict(run.data.params), Path(fetched))


def registered(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version that a run, given by its id or DVC experiment, was registered as."""
    run = _run(client, name)
    return version(client, run.data.tags[REGISTERED]) if run and REGISTERED in run.data.tags else None


def scored(client: MlflowClient, uri: str) -> Scored | None:
    """Return the version at models:/NAME@ALIAS with its scores; None if there is none or the store is unavailable."""
    try:
        found = version(client, uri)
        run = _run_of(client, found)
    except UNAVAILABLE as error:
        sys.stderr.write(f"warning: {uri} cannot be looked up ({first_line(error)})\n")
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
    """Return the version at models:/NAME/VERSION or models:/NAME@ALIAS; None if there is none."""
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
