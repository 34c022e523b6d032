"""What a uploader brings to a real store, while that is there and while it is not."""

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
def carrier(place, run_id, spool):
    """A uploader that was not started."""
    return Uploader(place.client, run_id, spool)


@pytest.fixture
def running(carrier):
    """A uploader that delivers every now and then."""
    carrier.start()
    yield carrier
    carrier._over.set()
    carrier.join(PATIENCE)


def until(true):
    """Wait for something that takes a moment."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def losses(steps):
    return [("train/loss", step / 2, step) for step in steps]


def png(shade):
    data = io.BytesIO()
    Image.new("L", (8, 8), shade).save(data, "PNG")
    return data.getvalue()


def test_many_figures_arrive_once_with_their_times_and_in_few_calls(place, carrier, spool, run_id, monkeypatch):
    spool.add(losses(range(2300)))
    times = {item.step: item.time for item in spool.waiting(10_000)}
    calls, log_batch = [], carrier.client.log_batch
    monkeypatch.setattr(
        carrier.client, "log_batch", lambda *words, **named: (calls.append(1), log_batch(*words, **named))
    )
    assert carrier.deliver()
    assert len(calls) == 3
    assert spool.count() == 0
    points = place.client.get_metric_history(run_id, "train/loss")
    assert sorted((point.step, point.value, point.timestamp) for point in points) == [
        (step, step / 2, times[step]) for step in range(2300)
    ]


@pytest.mark.parametrize("value", [math.nan, -1.5, 0.0])
def test_a_figure_arrives_with_its_value(place, carrier, spool, run_id, value):
    spool.add([("val/elbo", value, 4)])
    assert carrier.deliver()
    ((step, found),) = place.history(run_id, "val/elbo")
    assert step == 4
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_a_delivery_that_was_not_noted_and_is_repeated_adds_nothing(place, carrier, spool, run_id):
    spool.add([*losses(range(3)), ("val/elbo", math.nan, 2)])
    spool.add_picture("pictures/samples", 1, png(0))
    for _ in range(2):
        carrier._send(spool.waiting(100))  # killed before it could note that they arrived
    assert carrier.deliver()
    assert place.history(run_id, "train/loss") == [(0, 0.0), (1, 0.5), (2, 1.0)]
    assert len(place.client.get_metric_history(run_id, "val/elbo")) == 1
    folder = place.main / "mlartifacts" / run_id / "artifacts" / "images"
    assert len(list(folder.glob("*.png"))) == 1


def test_pictures_of_every_step_arrive(place, carrier, spool, run_id):
    for step in (1, 10, 2):
        spool.add_picture("samples", step, png(step))
        spool.add_picture("reconstructions", step, png(100 + step))
    assert carrier.deliver()
    folder = place.main / "mlartifacts" / run_id / "artifacts" / "images"
    for name, more in (("samples", 0), ("reconstructions", 100)):
        for step in (1, 2, 10):
            (path,) = folder.glob(f"{name}+step+{step}+*.png")
            assert Image.open(path).getpixel((0, 0)) == step + more


def test_figures_wait_while_the_store_is_away_and_that_is_said_once(place, carrier, spool, run_id, capsys):
    spool.add(losses(range(5)))
    with place.away():
        for _ in range(3):
            assert not carrier.deliver()
            spool.add(losses(range(10)))
    said = capsys.readouterr().err
    assert said.count("warning: the tracking store is away") == 1
    assert f"metrics wait in {spool.path}" in said
    assert spool.count() == 10
    for _ in range(2):
        assert carrier.deliver()
    assert capsys.readouterr().err == "the tracking store is back, and has all metrics\n"
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(10)]


def test_a_store_that_is_away_makes_one_line_and_no_tracebacks(place, carrier, spool, capsys):
    spool.add(losses(range(5)))
    tracking.connect()
    with place.away():
        for _ in range(3):
            carrier.deliver()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_thread_brings_figures_as_they_come(place, running, spool, run_id):
    for step in range(3):
        spool.add(losses([step]))
        until(lambda: spool.count() == 0)
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(3)]


def test_a_thread_goes_on_once_the_store_is_back(place, running, spool, run_id, capsys):
    with place.away():
        spool.add(losses(range(3)))
        until(lambda: running.away)
    until(lambda: not running.away)
    assert running.is_alive()
    assert spool.count() == 0
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(3)]
    said = capsys.readouterr().err
    assert (said.count("the tracking store is away"), said.count("the tracking store is back")) == (1, 1)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_begins_while_the_store_is_away_goes_on_once_it_is_back(place, carrier, spool):
    spool.add(losses(range(3)))
    with place.away():
        carrier.start()
        until(lambda: carrier.away or not carrier.is_alive())
    until(lambda: spool.count() == 0 or not carrier.is_alive())
    assert carrier.is_alive()
    carrier.close("FINISHED")
    assert spool.count() == 0


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_cannot_keep_the_load_of_the_machine_goes_on(place, carrier, spool, run_id, monkeypatch):
    monkeypatch.setattr(uploader, "LOAD", 0.05)
    spool.add(losses(range(3)))
    whole = spool.path.read_bytes()
    spool.path.write_bytes(b"no spool" * 1000)
    carrier.start()
    until(lambda: carrier.away or not carrier.is_alive())
    time.sleep(0.5)
    # in one step: a file that is still empty is a spool without metrics
    mended = spool.path.with_suffix(".mended")
    mended.write_bytes(whole)
    mended.replace(spool.path)
    until(lambda: place.history(run_id, "train/loss") or not carrier.is_alive())
    assert carrier.is_alive()
    carrier.close("FINISHED")


def test_the_load_of_the_machine_arrives_over_the_time_since_the_run_began(place, spool, run_id, carrier, monkeypatch):
    monkeypatch.setattr(uploader, "LOAD", 0.3)
    carrier.start()
    until(lambda: len(place.client.get_metric_history(run_id, "system/cpu_utilization_percentage")) >= 3)
    carrier.close("FINISHED")
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
def test_closing_brings_the_rest_and_the_status(place, carrier, spool, run_id, started):
    if started:
        carrier.start()
    spool.add(losses(range(3)))
    carrier.close("FAILED")
    assert not carrier.is_alive()
    assert place.history(run_id, "train/loss") == [(step, step / 2) for step in range(3)]
    assert place.status(run_id) == "FAILED"
    assert (spool.count(), spool.status) == (0, None)


def test_what_closing_cannot_bring_waits_and_that_is_said(place, running, spool, run_id, capsys):
    with place.away():
        spool.add(losses(range(3)))
        running.close("KILLED")
    said = capsys.readouterr().err
    assert f"3 metrics and the status KILLED wait in {spool.path}" in said
    assert (spool.count(), spool.status) == (3, "KILLED")
    assert place.status(run_id) == "RUNNING"
    assert Uploader(place.client, run_id, spool).deliver()
    assert place.status(run_id) == "KILLED"
    assert spool.status is None


def test_a_courier_keeps_no_process_from_ending(carrier):
    assert carrier.daemon
    assert carrier not in threading.enumerate()
