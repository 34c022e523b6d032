"""Choice of the store, connections to it, and errors when it is unavailable: real stores, real processes."""

import multiprocessing
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from mlflow.exceptions import MlflowException
from places import Place
from sqlalchemy.exc import OperationalError

from pipeline import tracking
from pipeline.system.errors import TrackingError
from pipeline.tracking import store

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["pipeline.training.trainer", "pipeline.tracking"])
CONNECT = "from pipeline import tracking; print(tracking.connect().tracking_uri)"


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_store_and_artifacts_lie_in_the_main_repository_alone(place):
    client = tracking.connect()
    run = client.create_run(store.experiment(client, place.source))
    client.log_text(run.info.run_id, "text", "a.txt")
    assert (place.main / "mlartifacts" / place.source / run.info.run_id / "artifacts" / "a.txt").is_file()
    assert sorted(path.name for path in place.workspace.iterdir()) == ["dvc.yaml", "params.yaml"]
    assert sorted(path.name for path in place.main.iterdir()) == [
        "dvc.yaml", "mlartifacts", "mlflow.db", "mlflow.db.lock", "params.yaml",
    ]  # fmt: skip


def test_a_store_that_the_user_names_is_used_and_no_other(place, monkeypatch, tmp_path):
    named = tmp_path / "team.db"
    named.write_bytes(place.database.read_bytes())
    place.database.unlink()
    monkeypatch.setattr(store, "STORE", f"sqlite:///{named}")
    client = tracking.connect()
    client.create_run(store.experiment(client, place.source))
    assert client.tracking_uri == f"sqlite:///{named}"
    assert not place.database.exists()
    assert not client.get_experiment_by_name(place.source).artifact_location.startswith(place.main.as_uri())


@pytest.mark.slow
def test_a_store_is_named_by_the_environment(fresh, tmp_path):
    named = f"sqlite:///{tmp_path / 'team.db'}"
    env = os.environ | {"MLFLOW_TRACKING_URI": named}
    words = [sys.executable, "-c", CONNECT]
    done = subprocess.run(words, cwd=fresh.workspace, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == named
    assert not fresh.database.exists()


def refused(patch, uri):
    """Check that connecting to a store fails with one line, and return the seconds that it took."""
    patch.setattr(store, "STORE", uri)
    begun = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        tracking.connect()
    assert "\n" not in str(caught.value)
    assert f"the tracking store {uri} does not accept requests" in str(caught.value)
    return time.monotonic() - begun


def test_a_server_that_is_not_there_is_one_line_within_seconds(place, monkeypatch):
    assert refused(monkeypatch, f"http://127.0.0.1:{closed_port()}") < 30


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_one_line_within_half_a_minute(place, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        assert refused(monkeypatch, f"http://127.0.0.1:{deaf.getsockname()[1]}") < 30


def test_a_server_that_breaks_down_is_one_line(place, monkeypatch):
    answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as sick:

        def serve():
            while True:
                try:
                    with sick.accept()[0] as one:
                        one.recv(4096)
                        one.sendall(answer)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        assert refused(monkeypatch, f"http://127.0.0.1:{sick.getsockname()[1]}") < 60


def test_a_database_that_another_process_has_locked_for_long_is_one_line(place, monkeypatch):
    monkeypatch.setattr(store, "LOCKED", 0.2)
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert refused(monkeypatch, f"sqlite:///{place.database}") < 30
        other.execute("ROLLBACK")
    tracking.connect()


def test_a_database_that_another_process_has_locked_for_a_moment_is_waited_for(place):
    with closing(sqlite3.connect(place.database, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(1.0, lambda: other.execute("ROLLBACK"))
        timer.start()
        tracking.connect()
        timer.join()


def test_a_file_that_is_no_store_is_one_line(place, monkeypatch):
    place.database.write_bytes(b"no database" * 1000)
    refused(monkeypatch, f"sqlite:///{place.database}")


def test_a_folder_that_cannot_be_made_is_one_line(place, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    refused(monkeypatch, f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}")


@pytest.mark.parametrize(
    "error",
    [MlflowException("one\ntwo"), OperationalError("one\ntwo", None, OSError()), OSError("one"), ConnectionError()],
)
def test_what_a_store_raises_is_one_line_that_names_the_store_and_what_to_do(place, error):
    tracking.connect()
    line = r"mlflow\.db does not accept .*MLFLOW_TRACKING_URI"
    with pytest.raises(TrackingError, match=line) as caught, tracking.reaching():
        raise error
    assert "\n" not in str(caught.value)


def test_a_bug_is_not_taken_for_an_unavailable_store():
    with pytest.raises(ZeroDivisionError), tracking.reaching():
        _ = 1 / 0


def test_a_run_exists_until_it_is_deleted(place):
    client = tracking.connect()
    run_id = client.create_run(store.experiment(client, place.source)).info.run_id
    assert store.exists(client, run_id)
    client.delete_run(run_id)
    assert not store.exists(client, run_id)
    assert not store.exists(client, "0" * 32)


def test_an_unavailable_store_is_not_taken_for_one_without_the_run(place):
    client = tracking.connect()
    run_id = client.create_run(store.experiment(client, place.source)).info.run_id
    with place.unavailable(), pytest.raises(TrackingError), tracking.reaching():
        store.exists(client, run_id)


def test_an_experiment_is_made_once_with_its_artifacts_beside_the_store(place):
    client = tracking.connect()
    first = store.experiment(client, place.source)
    assert store.experiment(client, place.source) == first
    found = client.get_experiment(first)
    assert found.name == place.source
    assert found.artifact_location == (place.main / "mlartifacts" / place.source).as_uri()
    assert store.KIND.items() <= found.tags.items()


def test_a_deleted_experiment_is_one_line_with_the_command_that_brings_it_back(place):
    client = tracking.connect()
    found = store.experiment(client, place.source)
    client.delete_experiment(found)
    with pytest.raises(TrackingError, match=f"mlflow experiments restore -x {found}"):
        store.experiment(client, place.source)
    client.restore_experiment(found)
    assert store.experiment(client, place.source) == found


def add_one(place):
    with pytest.MonkeyPatch.context() as patch:
        place.enter(patch)
        for _ in range(30):
            with store.one_at_a_time():
                inside = place.main / "inside"
                inside.mkdir()  # fails where another process is inside
                inside.rmdir()


def test_only_one_process_at_a_time_looks_up_and_creates(place):
    members = [SERVER.Process(target=add_one, args=(place,)) for _ in range(3)]
    for member in members:
        member.start()
    for member in members:
        member.join(60)
    assert [member.exitcode for member in members] == [0] * 3


def test_first_line_of_an_error():
    assert store.first_line(ValueError("one\ntwo")) == "one"
    assert store.first_line(ConnectionError()) == "ConnectionError"
    assert len(store.first_line(ValueError("x" * 1000))) == 200


ODD = [
    *("a % b", "%20", "a#b", "a?b=c", "quo'te#%20", 'dou"ble', "[brackets] (and) {more}"),
    *("é ü 漢", "$HOME", "~", "a&b;c", "back\\slash"),
]


@pytest.mark.parametrize("name", ODD)
def test_a_store_in_a_folder_of_any_name_holds_runs_and_their_files(template, tmp_path, monkeypatch, name):
    base = tmp_path / name
    base.mkdir()
    odd = Place(base)
    shutil.copy(template, odd.database)
    odd.enter(monkeypatch)
    with odd.start() as training:
        training.metrics([("train/loss", 1.0, 0)])
    run_id = training.record.run_id
    with odd.resume(run_id) as run:
        run.files(odd.workspace, "files")
    assert odd.history(run_id, "train/loss") == [(0, 1.0)]
    assert (odd.main / "mlartifacts" / odd.source / run_id / "artifacts" / "files" / "dvc.yaml").is_file()
    assert [item.path for item in tracking.connect().list_artifacts(run_id, "files")] == [
        "files/dvc.yaml", "files/params.yaml",
    ]  # fmt: skip


def test_an_experiment_that_another_clone_creates_meanwhile_is_used(place, monkeypatch):
    client = tracking.connect()
    there = client.get_experiment_by_name

    def created_after_the_lookup(name):
        monkeypatch.setattr(client, "get_experiment_by_name", there)
        client.create_experiment(name)

    monkeypatch.setattr(client, "get_experiment_by_name", created_after_the_lookup)
    assert store.experiment(client, place.source) == there(place.source).experiment_id
