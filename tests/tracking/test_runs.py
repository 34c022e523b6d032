"""Runs in a real store: their content and their status."""

import os
import signal
import socket
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from pipeline.params import flatten
from pipeline.system import errors
from pipeline.system.errors import TrackingError
from pipeline.system.processes import Process
from pipeline.tracking import runs, store
from pipeline.training.record import RunRecord
from pipeline.training.resume import Resumable

LOSSES = [("train/loss", step / 2, step) for step in range(5)]


def test_a_finished_run_is_finished(place):
    with place.start() as training:
        assert place.status(training.record.run_id) == "RUNNING"
    assert place.status(training.record.run_id) == "FINISHED"


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_a_failed_or_killed_run_has_that_status_and_resumes_as_the_same_run(place, error, status):
    with pytest.raises(error), place.start() as training:
        raise error
    run_id = training.record.run_id
    assert place.status(run_id) == status
    with pytest.raises(error), place.resume(run_id):
        raise error
    assert place.status(run_id) == status
    with place.start() as again:
        assert again.record == training.record
        assert place.status(run_id) == "RUNNING"
    assert place.status(run_id) == "FINISHED"
    assert len(place.runs()) == 1


def test_a_second_signal_does_not_cut_off_the_status_of_a_run_that_is_ending(place, monkeypatch):
    terminated = MlflowClient.set_terminated

    def late(client, *words, **named):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        terminated(client, *words, **named)

    def main():
        with place.start():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)

    monkeypatch.setattr(MlflowClient, "set_terminated", late)
    with pytest.raises(SystemExit):
        errors.run(main)
    (found,) = place.runs()
    assert found.info.status == "KILLED"


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_later_stage_does_not_move_the_end_of_a_run(place, error):
    with place.start() as training:
        pass
    run_id = training.record.run_id
    ended = place.run(run_id).info.end_time
    time.sleep(0.01)
    with pytest.raises(error) if error else nullcontext(), place.resume(run_id):
        if error:
            raise error
    assert place.run(run_id).info.end_time == ended


def test_a_resumed_training_moves_the_end_of_its_run(place):
    with place.start() as training:
        pass
    ended = place.run(training.record.run_id).info.end_time
    time.sleep(0.01)
    with place.start():
        pass
    assert place.run(training.record.run_id).info.end_time > ended


def test_a_status_that_is_delivered_late_keeps_the_end_of_the_training(place):
    with place.start() as training:
        begun = time.time()
        undo = place.unavailable()
        undo.__enter__()
    ended = time.time()
    undo.__exit__(None, None, None)
    time.sleep(1)
    runs.deliver_leftovers(place.client)
    found = place.run(training.record.run_id).info
    assert found.status == "FINISHED"
    assert begun <= found.end_time / 1000 + 0.001 <= ended + 0.001


def test_a_run_holds_params_data_and_tags(place, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-owl")
    with place.start() as training:
        found = place.run(training.record.run_id)
    assert found.data.params == {"seed": "3", "family": "vae", "vae.prior": "normal"}
    (given,) = found.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == (place.source, "d" * 32)
    assert place.data.about["homepage"] in given.dataset.source
    tags = found.data.tags
    assert {"git.commit", "git.branch", "git.dirty", "machine.torch"} <= tags.keys()
    assert (tags["dvc.stage"], tags["dvc.experiment"]) == ("train", "tidy-owl")
    for name, value in flatten({"runtime": place.runtime}).items():
        assert tags[name] == str(value)


def test_a_run_names_its_process(place):
    with place.start() as training:
        run_id, this = training.record.run_id, Process.this()
        tags = place.run(run_id).data.tags
        assert Process(tags["process.host"], int(tags["process.pid"]), float(tags["process.started"])) == this
    with place.resume(run_id):
        assert place.run(run_id).data.tags["process.pid"] == str(this.pid)


def test_a_run_has_a_heartbeat_as_long_as_its_process_runs(place, monkeypatch):
    monkeypatch.setattr(runs, "BEAT", 0.1)
    with place.start() as training:
        seen, deadline = set(), time.monotonic() + 60
        while len(seen) < 2:
            assert time.monotonic() < deadline
            if beat := place.run(training.record.run_id).data.tags.get(runs.HEARTBEAT):
                seen.add(int(beat))
    assert max(seen) <= time.time()
    assert max(seen) > time.time() - 60
    time.sleep(0.3)
    last = place.run(training.record.run_id).data.tags[runs.HEARTBEAT]
    time.sleep(1.2)
    assert place.run(training.record.run_id).data.tags[runs.HEARTBEAT] == last


def test_metrics_and_pictures_of_a_training_are_in_its_run_when_it_ends(place):
    with place.start() as training:
        training.metrics(LOSSES)
        training.metrics(LOSSES)
        training.image(Image.new("L", (8, 8)), "samples", 3)
    run_id = training.record.run_id
    assert place.history(run_id, "train/loss") == [(step, value) for _, value, step in LOSSES]
    assert list((place.main / "mlartifacts" / place.source / run_id / "artifacts" / "images").glob("samples+step+3+*"))
    assert not (place.workspace / "mlruns").exists()


def test_metrics_before_a_settled_step_are_no_longer_kept(place):
    with place.start() as training:
        training.metrics(LOSSES)
        training.spool.sent(training.spool.waiting(100))
        training.settled(3)
        training.metrics(LOSSES)
        assert [item.step for item in training.spool.waiting(100) if item.name == "train/loss"] == [0, 1, 2]


def test_a_run_takes_scores_tags_and_files(place):
    with place.start() as training:
        pass
    run_id = training.record.run_id
    with place.resume(run_id) as run:
        run.scores({"fid": 2, "elbo": -3.5})
        run.tags({"protocol.n": 10})
        run.files(Path(__file__).parent, "tests")
        assert place.status(run_id) == "RUNNING"
    found = place.run(run_id)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"fid": 2.0, "elbo": -3.5})
    assert found.data.tags["protocol.n"] == "10"
    folder = place.main / "mlartifacts" / place.source / run_id / "artifacts"
    assert (folder / "tests" / Path(__file__).name).is_file()


def test_a_failed_write_is_one_line_and_the_stage_still_ends(place, capsys):
    with place.start() as training:
        pass

    def score():
        with place.resume(training.record.run_id) as run, place.unavailable():
            run.scores({"fid": 2.0})

    with pytest.raises(TrackingError) as caught:
        score()
    assert "\n" not in str(caught.value)
    with place.resume(training.record.run_id):
        place.sql("ALTER TABLE runs RENAME TO gone")
    place.sql("ALTER TABLE gone RENAME TO runs")
    warning = capsys.readouterr().err
    assert f"run {training.record.run_id} stays RUNNING until this stage runs again" in warning


def test_a_training_whose_run_was_deleted_begins_another(place):
    with place.start() as training:
        pass
    place.client.delete_run(training.record.run_id)
    with place.start() as another:
        assert another.record.run_id != training.record.run_id
    assert place.status(another.record.run_id) == "FINISHED"
    assert Resumable("a").record == another.record


def test_trainings_of_different_work_have_runs_of_their_own(place):
    with place.start("a") as one, place.start("b") as other:
        assert one.record.run_id != other.record.run_id
    assert (one.record.training, other.record.training) == ("a", "b")


def test_an_unknown_run_gets_a_replacement_with_its_params_and_keeps_it(place):
    found = {}
    for run_id, name in (("0" * 32, "fid"), ("0" * 32, "other"), ("1" * 32, "third")):
        with place.resume(run_id) as run:
            run.scores({name: 1.0})
            found[name] = run.id
    assert found["fid"] == found["other"] != found["third"]
    run = place.run(found["fid"])
    assert run.data.tags["restored_from"] == "0" * 32
    assert run.data.metrics == {"fid": 1.0, "other": 1.0}
    assert run.data.params["vae.prior"] == "normal"
    assert run.info.status == "FINISHED"


def test_a_training_does_not_begin_if_the_store_is_unavailable(place, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr(store, "STORE", f"http://127.0.0.1:{free.getsockname()[1]}")
    Resumable("a").record = record = RunRecord("0" * 32, place.source, "a")
    with pytest.raises(TrackingError) as caught, place.start():
        pytest.fail("begun")
    assert "\n" not in str(caught.value)
    assert Resumable("a").record == record


def test_a_description_that_somebody_wrote_stays(place):
    with place.start() as training:
        pass
    run_id = training.record.run_id
    for mine, kept in (("first", "first"), ("second", "first")):
        with place.resume(run_id) as run:
            run.describe(mine)
        assert place.run(run_id).data.tags["mlflow.note.content"] == kept
