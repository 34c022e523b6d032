"""Versions of the registered model, each traceable to its data, params and code."""

from __future__ import annotations

import importlib.metadata
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow.artifacts
import mlflow.pyfunc
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature

from pipeline import tracking
from pipeline.models import saved
from pipeline.serving import pyfunc
from pipeline.system import dependencies
from pipeline.system.errors import ArtifactError, TrackingError
from pipeline.tracking import Run

CHALLENGER = "challenger"
DIGEST, EVIDENCE, LINEAGE = "model_digest", "evidence_digest", "lineage"
REQUIREMENTS = ("mlflow", "numpy", "pillow", "pydantic", "safetensors", "torch", "tqdm")


def register(
    run: Run,
    name: str,
    folder: Path,
    signature: ModelSignature,
    tags: Mapping[str, Any],
    description: str,
    beside: Path,
) -> ModelVersion:
    """Register a model folder as a version of the model `name`, and point `challenger` at it.

    The same bytes are registered once: the second time, their existing version becomes the challenger, and takes over
    the evaluation if it is another one.
    `tags` contains the digests of the model and of its evidence. The files in `beside` become artifacts of the
    version's run, in the folder that the tag `lineage` names.
    """
    client, digest = run.client, str(tags[DIGEST])
    version = find(client, name, digest)
    if version is None:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = _log(run, folder, signature)
        place = folder_of(name)
        run.files(beside, place)
        every = {key: str(value) for key, value in tags.items()} | {LINEAGE: place}
        made = client.create_model_version(name, source, run.id, tags=every, description=description)
        version = client.get_model_version(name, made.version)
    elif version.tags.get(EVIDENCE) != tags[EVIDENCE]:
        _update_evaluation(client, version, tags, description, beside)
    client.set_registered_model_alias(name, CHALLENGER, version.version)
    return version


def _update_evaluation(
    client: MlflowClient, version: ModelVersion, tags: Mapping[str, Any], description: str, beside: Path
) -> None:
    """Replace the evaluation of a version; the evidence tag is written last and marks the update as complete."""
    client.log_artifacts(str(version.run_id), str(beside), version.tags[LINEAGE])
    client.update_model_version(version.name, version.version, description)
    for key in version.tags.keys() - tags.keys() - {LINEAGE}:
        client.delete_model_version_tag(version.name, version.version, key)
    for key, value in sorted(tags.items(), key=lambda each: each[0] == EVIDENCE):
        client.set_model_version_tag(version.name, version.version, key, str(value))


def folder_of(name: str) -> str:
    """Return the folder of a version's lineage files among the artifacts of its run."""
    return f"versions/{name}"


def find(client: MlflowClient, name: str, digest: str) -> ModelVersion | None:
    """Return the version whose model has this digest; None if there is none."""
    found = client.search_model_versions(f'name = "{name}" and tags.{DIGEST} = "{digest}"', max_results=1)
    return found[0] if found else None


def download(client: MlflowClient, uri: str, to: Path) -> Path:
    """Download the model folder of a models:/ URI without running the code that the version carries.

    Raises:
        TrackingError: there is no such model, version or alias, or its files cannot be downloaded.
        ArtifactError: the digest of the model is not the registered one.
    """
    with tracking.reaching():
        version = tracking.version(client, uri)
    if version is None:
        raise TrackingError(f"{uri} is not a registered version; `mlflow ui` lists the versions")
    try:
        found = mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}", dst_path=str(to))
        folder = Path(found) / "data" / "model"
        same = saved.model_digest(folder) == version.tags.get(DIGEST)
    except (MlflowException, OSError) as error:
        raise TrackingError(f"{uri}: cannot download its files ({str(error).splitlines()[0]}); restore them") from error
    if not same:
        raise ArtifactError(f"{uri}: its files differ from the registered ones; register the model again")
    return folder


def kept(version: ModelVersion, to: Path) -> Path:
    """Download the lineage files of a version.

    Raises:
        TrackingError: they cannot be downloaded.
    """
    place = version.tags[LINEAGE]
    try:
        found = mlflow.artifacts.download_artifacts(run_id=version.run_id, artifact_path=place, dst_path=str(to))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"{place} of run {version.run_id}: {str(error).splitlines()[0]}; restore the artifacts of the run"
        ) from error
    return Path(found)


def _log(run: Run, folder: Path, signature: ModelSignature) -> str:
    """Log the pyfunc to the run, and return its URI."""
    pinned = [f"{each}=={importlib.metadata.version(each).partition('+')[0]}" for each in REQUIREMENTS]
    with tempfile.TemporaryDirectory() as temporary:
        code = Path(temporary) / dependencies.PACKAGE
        _copy_code(code.parent)
        # otherwise MLflow puts the model into experiment 0, whose artifacts lie in mlruns/
        mlflow.set_experiment(experiment_id=run.client.get_run(run.id).info.experiment_id)
        logged = Model.log(
            artifact_path=None,
            flavor=pyfunc,
            name="model",
            run_id=run.id,  # mlflow.start_run would end the run
            validate_serving_input=False,  # `evaluate` has sampled it, and torch takes seconds to import
            data_path=str(folder),
            code_paths=[str(code)],
            signature=signature,
            input_example=pyfunc.INPUT_EXAMPLE,
            pip_requirements=pinned,
        )
    return str(logged.model_uri)


def _copy_code(to: Path) -> None:
    """Copy the source files that serving imports, and no others of this package."""
    for path in dependencies.files(pyfunc.__name__):
        (to / path).parent.mkdir(parents=True, exist_ok=True)
        (to / path).write_bytes((dependencies.ROOT / path).read_bytes())
