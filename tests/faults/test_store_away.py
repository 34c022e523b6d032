"""An unavailable tracking store: training continues, and metrics arrive once, in order, when the store is back."""

import contextlib
import sqlite3
import time

import pytest
from trainer import Trainer, model, saved

PATIENCE = 30
"""Seconds within which a trainer must report that there is no store."""


@contextlib.contextmanager
def locked(folder):
    """Hold the write lock of a workspace's tracking database."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db", isolation_level=None, timeout=30)) as base:
        base.execute("BEGIN IMMEDIATE")
        yield
        base.execute("ROLLBACK")


def errors(trainer):
    return [line for line in trainer.output().splitlines() if line.startswith("error: ")]


def test_training_continues_while_the_database_is_locked_and_its_metrics_arrive_afterwards(fresh, is_whole):
    folder = fresh("vae")
    trainer = Trainer(folder)
    trainer.until_step(3)
    with locked(folder):
        trainer.until_step(20)
    assert trainer.ends() == 0
    is_whole(folder, "vae")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["vae", "gan"])
def test_database_locked_beyond_the_end_of_training_gets_all_metrics_with_the_next_run(fresh, is_whole, family):
    folder = fresh(family)
    trainer = Trainer(folder)
    trainer.until_step(3)
    with locked(folder):
        begun = time.monotonic()
        assert trainer.ends() == 0
        made = model(folder)
        time.sleep(max(0, 60 - (time.monotonic() - begun)))
    assert "the tracking store is unavailable" in trainer.output()
    assert Trainer(folder).ends() == 0
    assert model(folder) == made
    is_whole(folder, family)


@pytest.mark.slow
def test_database_locked_at_the_start_is_one_line_in_time(fresh):
    folder = fresh("vae")
    with locked(folder):
        trainer = Trainer(folder)
        assert trainer.ends(PATIENCE + 10) == 2
        assert time.monotonic() - trainer.begun < PATIENCE
    assert len(errors(trainer)) == 1
    assert "Traceback" not in trainer.output()
    assert "tracking store" in errors(trainer)[0]


def test_server_that_is_down_at_the_start_is_one_line_in_time(fresh, closed_port):
    folder = fresh("vae")
    trainer = Trainer(folder, uri=f"http://127.0.0.1:{closed_port}")
    assert trainer.ends(PATIENCE + 10) == 2
    assert time.monotonic() - trainer.begun < PATIENCE
    assert len(errors(trainer)) == 1
    assert f"127.0.0.1:{closed_port}" in errors(trainer)[0]
    assert "Traceback" not in trainer.output()
    assert saved(folder) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["down", "slow", "500"])
def test_server_that_is_away_at_the_start_is_one_line_in_time(fresh, server, fault):
    server.fault = fault
    trainer = Trainer(fresh("vae"), uri=server.uri)
    assert trainer.ends(PATIENCE + 10) == 2
    assert time.monotonic() - trainer.begun < PATIENCE
    assert len(errors(trainer)) == 1
    assert "Traceback" not in trainer.output()


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["down", "slow", "500"])
def test_training_continues_without_its_server_which_gets_all_metrics_with_the_next_run(
    fresh, server, uninterrupted, steps_logged_once, fault
):
    folder = fresh("vae")
    trainer = Trainer(folder, uri=server.uri)
    trainer.until_step(3)
    server.fault = fault
    assert trainer.ends() == 0, trainer.output()
    assert "the tracking store is unavailable" in trainer.output()
    assert model(folder) == uninterrupted["vae"]["model"]
    server.fault = None
    assert Trainer(folder, uri=server.uri).ends() == 0
    steps_logged_once(server.tracked, "vae")


@pytest.mark.slow
def test_server_that_comes_back_during_training_gets_all_metrics(fresh, server, steps_logged_once):
    folder = fresh("vae")
    trainer = Trainer(folder, uri=server.uri)
    trainer.until_step(3)
    server.fault = "500"
    trainer.until_step(10)
    server.fault = None
    assert trainer.ends() == 0
    steps_logged_once(server.tracked, "vae")
