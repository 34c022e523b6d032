"""Runs with the status RUNNING in a real store, of live and of dead processes."""

import subprocess
import time
from dataclasses import asdict

import psutil
import pytest

from pipeline import tracking
from pipeline.system.processes import Process
from pipeline.tracking import store
from pipeline.tracking.abandoned import SILENCE


@pytest.fixture
def client(place):
    return tracking.connect()


@pytest.fixture
def dead():
    """A process that was killed."""
    with subprocess.Popen(["sleep", "60"]) as child:
        process = Process(Process.this().host, child.pid, psutil.Process(child.pid).create_time())
        child.kill()
    return process


def begin(client, place, process, **tags):
    """Begin a run of a process."""
    tags = {f"process.{name}": str(value) for name, value in asdict(process).items()} | {
        name.replace("_", "."): value for name, value in tags.items()
    }
    return client.create_run(store.experiment(client, place.source), tags=tags).info.run_id


def test_a_run_whose_process_is_dead_is_found_with_that_process_and_marked(client, place, dead):
    run_id = begin(client, place, dead, process_heartbeat=str(int(time.time())))
    assert list(tracking.abandoned(client)) == [(run_id, dead)]
    assert place.status(run_id) == "RUNNING"
    assert tracking.mark_killed(client) == [run_id]
    assert place.status(run_id) == "KILLED"
    assert list(tracking.abandoned(client)) == []
    assert tracking.mark_killed(client) == []


def test_a_run_whose_process_lives_is_left_alone(client, place):
    run_id = begin(client, place, Process.this())
    assert tracking.mark_killed(client) == []
    assert place.status(run_id) == "RUNNING"


def test_a_run_of_a_process_whose_pid_was_reused_is_found(client, place):
    this = Process.this()
    run_id = begin(client, place, Process(this.host, this.pid, this.started - 1000))
    assert [found for found, _ in tracking.abandoned(client)] == [run_id]


@pytest.mark.parametrize(("ago", "found"), [(0, False), (SILENCE / 2, False), (SILENCE + 10, True)])
def test_a_run_of_another_machine_is_found_by_its_silence(client, place, ago, found):
    elsewhere = Process("elsewhere", Process.this().pid, Process.this().started)
    run_id = begin(client, place, elsewhere, process_heartbeat=str(int(time.time() - ago)))
    assert [each for each, _ in tracking.abandoned(client)] == [run_id] * found


def test_a_run_that_ended_or_that_names_no_process_is_left_alone(client, place, dead):
    ended = begin(client, place, dead)
    client.set_terminated(ended, "FAILED")
    foreign = client.create_run(store.experiment(client, place.source)).info.run_id
    odd = client.create_run(store.experiment(client, place.source), tags={"process.pid": "many"}).info.run_id
    assert tracking.mark_killed(client) == []
    assert [place.status(each) for each in (ended, foreign, odd)] == ["FAILED", "RUNNING", "RUNNING"]


def test_a_store_without_runs_has_none_that_are_abandoned(client):
    assert list(tracking.abandoned(client)) == []


def test_an_unavailable_store_is_one_line(client, place):
    with place.unavailable(), pytest.raises(tracking.store.TrackingError), tracking.reaching():
        tracking.mark_killed(client)


@pytest.mark.parametrize("begin_work", [lambda place, _: place.start("other"), lambda place, run: place.resume(run)])
def test_a_stage_marks_what_a_killed_process_left_before_it_takes_a_run(client, place, dead, begin_work):
    with place.start() as training:
        pass
    left = begin(client, place, dead, process_heartbeat=str(int(time.time()) - 3600))
    with begin_work(place, training.record.run_id):
        assert place.status(left) == "KILLED"


def test_a_run_that_is_marked_ended_with_its_last_heartbeat(client, place, dead):
    beat = int(time.time()) - 3600
    run_id = begin(client, place, dead, process_heartbeat=str(beat))
    tracking.mark_killed(client)
    assert place.run(run_id).info.end_time == 1000 * beat


def test_a_run_that_a_later_stage_left_running_keeps_its_end(client, place, dead):
    run_id = begin(client, place, dead, process_heartbeat=str(int(time.time())))
    client.set_terminated(run_id, "FINISHED", 1000)
    client.update_run(run_id, "RUNNING")
    tracking.mark_killed(client)
    assert (place.status(run_id), place.run(run_id).info.end_time) == ("KILLED", 1000)
