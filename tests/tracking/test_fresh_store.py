"""A store that does not exist yet: created once, whole, and never in place of another."""

import multiprocessing
import shutil

import pytest
from mlflow import MlflowClient
from places import SOURCE, Place
from sqlalchemy import create_engine, text

from pipeline import tracking
from pipeline.system.errors import TrackingError
from pipeline.tracking import store

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["pipeline.training.trainer", "pipeline.tracking"])


def use(place):
    """Use the store of a place for the first time, in a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        place.enter(patch)
        client = tracking.connect()
        run = client.create_run(store.experiment(client, place.source))
        client.log_metric(run.info.run_id, "score", 1.0)


def test_a_fresh_store_survives_its_first_use_by_four_processes(fresh):
    members = [SERVER.Process(target=use, args=(fresh,)) for _ in range(4)]
    for member in members:
        member.start()
    for member in members:
        member.join(180)
    assert [member.exitcode for member in members] == [0] * 4
    assert [run.data.metrics for run in fresh.runs()] == [{"score": 1.0}] * 4
    assert [each.name for each in fresh.client.search_experiments()].count(fresh.source) == 1


def use_named(place, uri):
    with pytest.MonkeyPatch.context() as patch:
        place.enter(patch)
        patch.setattr(store, "STORE", uri)
        client = tracking.connect()
        client.create_run(store.experiment(client, place.source))


def test_a_fresh_database_that_clones_share_survives_their_first_use_at_once(tmp_path):
    uri = store.address(tmp_path / "team" / "runs.db")
    clones = [tmp_path / name for name in "abc"]
    for clone in clones:
        clone.mkdir()
    members = [SERVER.Process(target=use_named, args=(Place(clone), uri)) for clone in clones]
    for member in members:
        member.start()
    for member in members:
        member.join(180)
    assert [member.exitcode for member in members] == [0] * 3
    client = MlflowClient(uri)
    (place,) = [each for each in client.search_experiments() if each.name == SOURCE]
    assert len(client.search_runs([place.experiment_id])) == 3


def test_a_fresh_store_is_there_whole_or_not_at_all(fresh, monkeypatch):
    def cut_off(path, data):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(store.disk, "write_durably", cut_off)
        with pytest.raises(TrackingError, match="no space left"):
            tracking.connect()
    assert not fresh.database.exists()
    client = tracking.connect()
    assert client.get_run(client.create_run("0").info.run_id)
    assert sorted(path.name for path in fresh.database.parent.glob("mlflow.db*")) == ["mlflow.db", "mlflow.db.lock"]


@pytest.mark.parametrize("linked", [True, False])
def test_a_store_that_somebody_else_made_meanwhile_stays(fresh, template, monkeypatch, linked):
    def made_meanwhile():
        base = whole()
        shutil.copy(template, fresh.database)
        MlflowClient(f"sqlite:///{fresh.database}").create_experiment("theirs")
        return base

    def no_links(*_):
        raise OSError("no hard links here")

    whole = store._fresh
    monkeypatch.setattr(store, "_fresh", made_meanwhile)
    if not linked:
        monkeypatch.setattr(store.os, "link", no_links)
    assert tracking.connect().get_experiment_by_name("theirs")


def test_a_store_is_created_without_hard_links_too(fresh, monkeypatch):
    def no_links(*_):
        raise OSError("not here")

    monkeypatch.setattr(store.os, "link", no_links)
    client = tracking.connect()
    assert client.get_run(client.create_run("0").info.run_id)
    assert list(fresh.database.parent.glob("mlflow.db.fresh*")) == []


def test_only_a_fresh_store_is_written_without_waiting_for_the_disk(fresh):
    tracking.connect()
    engine = create_engine(f"sqlite:///{fresh.database}")
    with engine.connect() as base:
        assert base.execute(text("PRAGMA synchronous")).scalar() == 2
    engine.dispose()
