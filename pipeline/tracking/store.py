"""The tracking store: which one to use, how to connect to it, and errors when it is unavailable."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

# An unavailable store must be detected within seconds, and a retry by MLflow of a slow call can create a second run or
# version. Settings of the user take precedence
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy import event, make_url
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from pipeline.system import disk, project
from pipeline.system.errors import TrackingError

STORE = os.environ.get("MLFLOW_TRACKING_URI")
"""The store that the user chose; read before MLflow sets the variable itself."""
UNAVAILABLE = (MlflowException, SQLAlchemyError, OSError)
"""What MLflow raises if its store cannot be reached or answers incorrectly."""
LOCKED = 10.0
"""Seconds to wait for a locked database when connecting."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Marks an experiment as model training, which MLflow's UI would guess otherwise."""


def connect() -> MlflowClient:
    """Return a client of the store in MLFLOW_TRACKING_URI, or else of mlflow.db in the main repository.

    A missing SQLite database is created, by one process at a time.

    Raises:
        TrackingError: the store is unavailable.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it logs a traceback of each exception
    uri = _uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    with reaching(), one_at_a_time():
        database = _database(uri)
        if database and not database.exists():
            _publish(_fresh(), database)
        client = MlflowClient(uri, uri)
        client.search_experiments(max_results=1)
        _assert_writable(uri)
    return client


def address(database: Path) -> str:
    """Return the URI of an SQLite database, its path quoted: `%`, `#` and `?` have a meaning in URIs."""
    return f"sqlite:///{quote(str(database))}"


def _uri() -> str:
    return STORE or address(project.main_root() / "mlflow.db")


def _database(uri: str) -> Path | None:
    """Return the file of an SQLite store; None for any other store."""
    url = make_url(uri) if uri.startswith("sqlite") else None
    return Path(url.database) if url and url.database and url.database != ":memory:" else None


def _publish(base: bytes, path: Path) -> None:
    """Put a database in place, unless another process, such as `mlflow ui`, created one meanwhile."""
    beside = path.with_name(f"{path.name}.fresh")
    disk.write_durably(beside, base)
    with suppress(OSError):  # without hard links MLflow creates its own, only slower
        os.link(beside, path)
    beside.unlink()


def _fresh() -> bytes:
    """Return the bytes of a new database, as MLflow creates it.

    MLflow runs dozens of migrations, and most of the time goes into syncing each step to disk. A private temporary file
    needs no syncing, and a kill leaves no half-migrated database.
    """
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "mlflow.db"
        event.listen(Engine, "connect", _unsynchronised)
        try:
            MlflowClient(address(made)).search_experiments(max_results=1)
        finally:
            event.remove(Engine, "connect", _unsynchronised)
        return made.read_bytes()


def _unsynchronised(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


def _assert_writable(uri: str) -> None:
    """Fail early if an SQLite database is locked; MLflow would wait for the lock at each call.

    Raises:
        OSError: the database is locked, or not a database.
    """
    if database := _database(uri):
        try:
            with closing(sqlite3.connect(database, timeout=LOCKED, isolation_level=None)) as base:
                base.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


@contextmanager
def reaching() -> Iterator[None]:
    """Turn MLflow's exceptions into a one-line error.

    Raises:
        TrackingError: the store is unavailable, or rejects a request.
    """
    try:
        yield
    except UNAVAILABLE as error:
        raise TrackingError(
            f"the tracking store {mlflow.get_tracking_uri()} does not accept requests ({first_line(error)}); start it, "
            "or set MLFLOW_TRACKING_URI to another; finished work is kept: run the command again to resume"
        ) from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type; at most 200 characters."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def exists(client: MlflowClient, run_id: str) -> bool:
    """Return whether a store has a run that is not deleted."""
    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def is_registered(client: MlflowClient, name: str) -> bool:
    """Return whether the registry has a model of this name."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return False
    return True


def experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, created under a lock if it is new; by default its artifacts lie beside mlflow.db.

    Raises:
        TrackingError: the experiment was deleted.
    """
    with one_at_a_time():
        found = client.get_experiment_by_name(name)
        if found and found.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name} was deleted from the tracking store; "
                f"run `mlflow experiments restore -x {found.experiment_id}`"
            )
        if found:
            return str(found.experiment_id)
        beside = None if STORE else (project.main_root() / "mlartifacts" / name).as_uri()
        try:
            return str(client.create_experiment(name, beside, tags=KIND))
        except MlflowException as error:
            made = client.get_experiment_by_name(name)  # by another clone, perhaps on another machine
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or made is None:
                raise
            return str(made.experiment_id)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process at a time do what MLflow does in two steps: look something up, and create it if it is missing.

    The lock lies beside an SQLite database, so that all clones that use the database share it. A server protects its
    own database; then the lock is that of the main repository.
    """
    database = _database(_uri())
    path = database.with_name(f"{database.name}.lock") if database else project.main_root() / ".pipeline" / "store.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
