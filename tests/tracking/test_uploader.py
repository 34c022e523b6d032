"""Delivery of metrics and pictures to a real store, while it is available and while it is not."""

import io
import math
import sqlite3
import threading
import time
from contextlib import closing

import pytest
from PIL import Image

from pipeline import tracking
from pipeline.tracking import uploader
from pipeline.tracking.uploader import Uploader
from pipeline.training.spool import Spool

PATIENCE = 60


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(uploader, "PAUSE", 0.05)
    monkeypatch.setattr(uploader, "LONGEST_PAUSE", 0.1)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool.db")


@pytest.fixture
def run_id(place):
    client = place.client
    return client.create_run(client.create_experiment(place.source, (place.main / "mlartifacts").as_uri())).info.run_id


@pytest.fixture
def sender(place, run_id, spool):
    """An uploader whose thread was not started."""
    return Uploader(place.client, run_id, spool)


@pytest.fixture
def running(sender):
    """An uploader that delivers repeatedly in its thread."""
    sender.start()
    yield sender
    sender._over.set()
    sender.join(PATIENCE)


def until(true):
    """Wait until a condition is true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def losses(steps):
    return [("train/loss", step / 2, step) for step in steps]


def png(shade):
    data = io.BytesIO()
    Image.new("L", (8, 8), shade).save(data, "PNG")
    return data.getvalue()


def test_many_metrics_arrive_once_with_their_times_and_in_few_calls(place, sender, spool, run_id, monkeypatch):
    spool.add(losses(range(2300)))
    times = {item.step: item.time for item in spool.waiting(10_000)}
    calls, log_batch = [], sender.client.log_batch
    monkeypatch.setattr(
        sender.client, "log_batch", lambda *words, **named: (calls.append(1), log_batch(*words, **named))
    )
    assert sender.deliver()
    assert len(calls) == 3
    assert spool.count() == 0
    points = place.client.get_metric_history(run_id, "train/loss")
    assert sorted((point.step, point.value, point.timestamp) for point in points) == [
        (step, step / 2, times[step]) for step in range(2300)
    ]


@pytest.mark.parametrize("value", [math.nan, -1.5, 0.0])
def test_a_metric_arrives_with_its_value(place, sender, spool, run_id, value):
    spool.add([("val/elbo", value, 4)])
    assert sender.deliver()
    ((step, found),) = place.history(run_id, "val/elbo")
    assert step == 4
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_a_repeated_delivery_adds_nothing(place, sender, spool, run_id):
    spool.add([*losses(range(3)), ("val/elbo", math.nan, 2)])
    spool.add_picture("pictures/samples", 1, png(0))
    for _ in range(2):
        sender._send(spool.waiting(100))  # killed before it could record that they arrived
    assert sender.deliver()
    assert place.history(run_id, "train/loss") == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert len(place.client.get_metric_history(run_id, "val/elbo")) == 1
    folder = place.main / "mlartifacts" / run_id / "artifacts" / "images"
    assert len(list(folder.glob("*.png"))) == 1


def test_pictures_of_every_step_arrive(place, sender, spool, run_id):
    for step in (1, 10, 2):
        spool.add_picture("samples", step, png(step))
        spool.add_picture("reconstructions", step, png(100 + step))
    assert sender.deliver()
    folder = place.main / "mlartifacts" / run_id / "artifacts" / "images"
    for name, more in (("samples", 0), ("reconstructions", 100)):
        for step in (1, 2, 10):
            (path,) = folder.glob(f"{name}+step+{step}+*.png")
            assert Image.open(path).getpixel((0, 0)) == step + more


def test_metrics_wait_while_the_store_is_unavailable_with_one_warning(place, sender, spool, run_id, capsys):
    spool.add(losses(range(5)))
    with place.unavailable():
        for _ in range(3):
            assert not sender.deliver()
            spool.add(losses(range(10)))
    err = capsys.readouterr().err
    assert err.count("warning: the tracking store is unavailable") == 1
    assert f"metrics wait in {spool.path}" in err
    assert spool.count() == 10
    for _ in range(2):
        assert sender.deliver()
    assert capsys.readouterr().err == "the tracking store is available again and has all metrics\n"
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(10)]


def test_an_unavailable_store_gives_one_line_and_no_tracebacks(place, sender, spool, capsys):
    spool.add(losses(range(5)))
    tracking.connect()
    with place.unavailable():
        for _ in range(3):
            sender.deliver()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_thread_delivers_metrics_as_they_come(place, running, spool, run_id):
    for step in range(3):
        spool.add(losses([step]))
        until(lambda: spool.count() == 0)
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(3)]


def test_a_thread_resumes_once_the_store_is_available_again(place, running, spool, run_id, capsys):
    with place.unavailable():
        spool.add(losses(range(3)))
        until(lambda: running.unavailable)
    until(lambda: not running.unavailable)
    assert running.is_alive()
    assert spool.count() == 0
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(3)]
    err = capsys.readouterr().err
    assert (err.count("store is unavailable"), err.count("store is available again")) == (1, 1)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_starts_while_the_store_is_unavailable_delivers_later(place, sender, spool):
    spool.add(losses(range(3)))
    with place.unavailable():
        sender.start()
        until(lambda: sender.unavailable or not sender.is_alive())
    until(lambda: spool.count() == 0 or not sender.is_alive())
    assert sender.is_alive()
    sender.close("FINISHED")
    assert spool.count() == 0


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_survives_a_spool_that_cannot_take_the_load_of_the_machine(place, sender, spool, run_id, monkeypatch):
    monkeypatch.setattr(uploader, "LOAD", 0.05)
    spool.add(losses(range(3)))
    whole = spool.path.read_bytes()
    spool.path.write_bytes(b"no spool" * 1000)
    sender.start()
    until(lambda: sender.unavailable or not sender.is_alive())
    time.sleep(0.5)
    # atomically, since a file that is still empty is a spool without metrics
    repaired = spool.path.with_suffix(".repaired")
    repaired.write_bytes(whole)
    repaired.replace(spool.path)
    until(lambda: place.history(run_id, "train/loss") or not sender.is_alive())
    assert sender.is_alive()
    sender.close("FINISHED")


def test_the_load_of_the_machine_arrives_over_the_time_since_the_run_began(place, spool, run_id, sender, monkeypatch):
    monkeypatch.setattr(uploader, "LOAD", 0.3)
    sender.start()
    until(lambda: len(place.client.get_metric_history(run_id, "system/cpu_utilization_percentage")) >= 3)
    sender.close("FINISHED")
    steps = [step for step, _ in place.history(run_id, "system/cpu_utilization_percentage")]
    assert len(set(steps)) == len(steps)
    seconds = time.time() - place.run(run_id).info.start_time / 1000
    assert steps[-1] <= seconds / 0.3 + 1


def test_nothing_is_lost_or_doubled_while_another_process_holds_the_stores_lock(place, running, spool, run_id):
    with closing(sqlite3.connect(place.database, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for step in range(50):
            spool.add(losses([step]))
            time.sleep(0.04)
        assert spool.count() == 50
        other.execute("ROLLBACK")
    until(lambda: spool.count() == 0)
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(50)]


@pytest.mark.parametrize("started", [True, False])
def test_closing_delivers_the_rest_and_the_status(place, sender, spool, run_id, started):
    if started:
        sender.start()
    spool.add(losses(range(3)))
    sender.close("FAILED")
    assert not sender.is_alive()
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(3)]
    assert place.status(run_id) == "FAILED"
    assert (spool.count(), spool.status) == (0, None)


def test_what_closing_cannot_deliver_waits_with_a_warning(place, running, spool, run_id, capsys):
    with place.unavailable():
        spool.add(losses(range(3)))
        running.close("KILLED")
    err = capsys.readouterr().err
    assert f"3 metrics and the status KILLED wait in {spool.path}" in err
    assert (spool.count(), spool.status) == (3, "KILLED")
    assert place.status(run_id) == "RUNNING"
    assert Uploader(place.client, run_id, spool).deliver()
    assert place.status(run_id) == "KILLED"
    assert spool.status is None


def test_an_uploader_keeps_no_process_from_ending(sender):
    assert sender.daemon
    assert sender not in threading.enumerate()
