"""The tracking store: which one it is, how it is reached, and what is said when it is away."""

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

# A store that is away is to be known within seconds; and MLflow's own second try at a call that was slow to be answered
# can make a second run, or a second version. What a user has set stands
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
"""The store that the user named; read before MLflow sets the variable itself."""
AWAY = (MlflowException, SQLAlchemyError, OSError)
"""What MLflow raises where its store cannot be reached, or does not answer as it should."""
LOCKED = 10.0
"""Seconds that a database may be locked at the start."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Says that an experiment is one of model training, which the UI would guess otherwise."""


def connect() -> MlflowClient:
    """Return a client of the store that MLFLOW_TRACKING_URI names, else of mlflow.db in the main repository.

    Where a database on SQLite is not there it is made, which only one process may do at a time.

    Raises:
        TrackingError: it cannot be reached.
    """
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints a traceback of what it raises
    uri = _uri()
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    with reaching(), one_at_a_time():
        database = _database(uri)
        if database and not database.exists():
            _publish(_fresh(), database)
        client = MlflowClient(uri, uri)
        client.search_experiments(max_results=1)
        _write(uri)
    return client


def address(database: Path) -> str:
    """Return the URI of a database on SQLite, whatever its path holds: `%`, `#` and `?` have a meaning in URIs."""
    return f"sqlite:///{quote(str(database))}"


def _uri() -> str:
    return STORE or address(project.main_root() / "mlflow.db")


def _database(uri: str) -> Path | None:
    """Return the file of a store on SQLite; None of any other."""
    url = make_url(uri) if uri.startswith("sqlite") else None
    return Path(url.database) if url and url.database and url.database != ":memory:" else None


def _publish(base: bytes, path: Path) -> None:
    """Put a database where none is: one that somebody else, such as `mlflow ui`, made meanwhile stays."""
    beside = path.with_name(f"{path.name}.fresh")
    disk.write_durably(beside, base)
    with suppress(OSError):  # where a file cannot have two names, MLflow makes its own, only slower
        os.link(beside, path)
    beside.unlink()


def _fresh() -> bytes:
    """Return a new database, as MLflow makes one.

    It takes dozens of migrations to its present schema, and would wait for the disk at each of their steps: most of the
    seconds that it takes. A file that nobody else sees needs no waiting, and a kill leaves nothing half migrated.
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


def _write(uri: str) -> None:
    """Find out whether a database on SQLite is locked, which MLflow would wait for at each call."""
    if database := _database(uri):
        try:
            with closing(sqlite3.connect(database, timeout=LOCKED, isolation_level=None)) as base:
                base.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


@contextmanager
def reaching() -> Iterator[None]:
    """Turn what MLflow raises into one line.

    Raises:
        TrackingError: the store cannot be reached, or refuses what it was told.
    """
    try:
        yield
    except AWAY as error:
        raise TrackingError(
            f"the tracking store {mlflow.get_tracking_uri()} does not take what it is told ({said(error)}); start it, "
            "or let MLFLOW_TRACKING_URI name another; what was made so far is kept: run it again to go on"
        ) from error


def said(error: BaseException) -> str:
    """Return the first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def exists(client: MlflowClient, run_id: str) -> bool:
    """Say whether a store holds a run, and it was not deleted."""
    try:
        return str(client.get_run(run_id).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False


def is_registered(client: MlflowClient, name: str) -> bool:
    """Say whether a registry holds a model of that name."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return False
    return True


def experiment(client: MlflowClient, name: str) -> str:
    """Return the id of an experiment, made under a lock where it is new, its artifacts beside mlflow.db by default."""
    with one_at_a_time():
        found = client.get_experiment_by_name(name)
        if found and found.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name} was deleted from the tracking store; "
                f"`mlflow experiments restore -x {found.experiment_id}` brings it back"
            )
        if found:
            return str(found.experiment_id)
        beside = None if STORE else (project.main_root() / "mlartifacts" / name).as_uri()
        try:
            return str(client.create_experiment(name, beside, tags=KIND))
        except MlflowException as error:
            made = client.get_experiment_by_name(name)  # by another clone, on another machine perhaps
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or made is None:
                raise
            return str(made.experiment_id)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process at a time do what MLflow does in two steps: look whether something is there, and make it.

    The lock lies beside a database on SQLite, so that all clones that use it have the same one. A server answers for
    its own database: there it is this clone's.
    """
    database = _database(_uri())
    path = database.with_name(f"{database.name}.lock") if database else project.main_root() / ".pipeline" / "store.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
