"""Runs in a real store survive kills of real processes, and later stages deliver what those leave."""

import multiprocessing
import os
import random
import signal
import time

import pytest

from pipeline.tracking import runs, uploader
from pipeline.training.resume import Resumable

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["pipeline.training.trainer", "pipeline.tracking"])
LOSSES = [("train/loss", step / 2, step) for step in range(5)]


def begun(place, pipe, add, name):
    """Train in a process that will be killed."""
    with pytest.MonkeyPatch.context() as patch:
        place.enter(patch)
        patch.setattr(uploader, "PAUSE", 0.02)
        with Resumable(name).alone(), place.start(name) as training:
            pipe.send(training.record.run_id)
            for step in range(10**6 if add else 0):
                training.metrics([("train/loss", step / 2, step)])
                pipe.send(step)
            time.sleep(600)


def killed_at(place, name, seconds):
    """Train, and be killed some seconds after the store was reached or when a function is called."""
    with pytest.MonkeyPatch.context() as patch:
        place.enter(patch)

        def kill(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        if name:
            patch.setattr(runs, name, kill)
        else:
            signal.signal(signal.SIGALRM, kill)
            signal.setitimer(signal.ITIMER_REAL, seconds)
        with place.start():
            kill()


def in_a_process(target, *words):
    process = SERVER.Process(target=target, args=words, daemon=True)
    process.start()
    return process


def wait_for_the_end(process):
    process.join(120)
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture
def trainer(place):
    """Start a training in a process of its own; return the process and the pipe that it reports to."""
    started = []

    def begin(add=False, name="a"):
        ours, theirs = SERVER.Pipe(duplex=False)
        started.append(in_a_process(begun, place, theirs, add, name))
        theirs.close()
        return started[-1], ours

    yield begin
    for process in started:
        process.kill()
        process.join()


def test_a_run_that_a_signal_interrupts_is_killed(place, trainer):
    process, pipe = trainer()
    run_id = pipe.recv()
    os.kill(process.pid, signal.SIGINT)
    process.join(120)
    assert place.status(run_id) == "KILLED"


@pytest.mark.parametrize("name", ["Param", "RunRecord", "context", "_at_work"])
def test_a_training_that_was_killed_as_it_began_its_run_resumes_that_run(place, name):
    wait_for_the_end(in_a_process(killed_at, place, name, 0.0))
    (left,) = place.runs()
    with place.start() as training:
        assert training.record.run_id == left.info.run_id
        found = place.run(left.info.run_id)
    assert len(place.runs()) == 1
    assert found.data.params["vae.prior"] == "normal"
    assert len(found.inputs.dataset_inputs) == 1


def test_a_training_that_is_killed_at_any_moment_of_its_beginning_has_one_run(place):
    rng = random.Random(0)
    for _ in range(6):
        wait_for_the_end(in_a_process(killed_at, place, "", rng.random()))
        assert len(place.runs()) <= 1
    with place.start():
        pass
    (run,) = place.runs()
    assert run.info.status == "FINISHED"
    assert len(run.inputs.dataset_inputs) == 1


def test_no_metric_of_a_killed_training_is_lost_or_doubled_when_it_resumes(place, trainer):
    rng, last, ids = random.Random(0), -1, set()
    for _ in range(3):
        process, pipe = trainer(add=True)
        ids.add(pipe.recv())
        for _ in range(rng.randrange(20, 60)):
            last = max(last, pipe.recv())
        process.kill()
        process.join()
    with place.start() as training:
        ids.add(training.record.run_id)
        training.metrics([("train/loss", -1.0, step) for step in range(last + 5)])  # steps that were logged before stay
    assert len(ids) == 1
    found = place.history(ids.pop(), "train/loss")
    assert [step for step, _ in found] == list(range(len(found)))
    assert found[: last + 1] == [(step, step / 2) for step in range(last + 1)]


def left_behind(place, name, status="FAILED"):
    """Leave the metrics and the status of a training that died while the store was unavailable; return its run."""
    with place.start(name) as training:
        pass
    work = Resumable(name)
    work.spool.add(LOSSES)
    work.spool.status = status
    return training.record.run_id


@pytest.mark.parametrize("stage", ["start", "resume"])
def test_pending_metrics_of_a_dead_training_are_delivered_by_the_next_stage(place, stage):
    run_id = left_behind(place, "dead")
    with place.start("next") if stage == "start" else place.resume("0" * 32):
        assert place.history(run_id, "train/loss") == [(step, value) for _, value, step in LOSSES]
        assert place.status(run_id) == "FAILED"
    assert (Resumable("dead").spool.count(), Resumable("dead").spool.status) == (0, None)


def test_pending_metrics_of_a_training_are_in_its_run_when_it_resumes_and_ends(place):
    run_id = left_behind(place, "a")
    with place.start() as training:
        assert place.status(run_id) == "RUNNING"
    assert training.record.run_id == run_id
    assert place.history(run_id, "train/loss") == [(step, value) for _, value, step in LOSSES]
    assert place.status(run_id) == "FINISHED"


def test_pending_metrics_of_a_live_training_are_left_to_it(place):
    run_id = left_behind(place, "alive")
    with Resumable("alive").alone(), place.start("next"):
        pass
    assert place.history(run_id, "train/loss") == []
    assert Resumable("alive").spool.count() == len(LOSSES)


def test_a_corrupt_training_in_progress_does_not_block_another(place):
    left_behind(place, "corrupt")
    left_behind(place, "record")
    run_id = left_behind(place, "whole")
    Resumable("corrupt").spool.path.write_bytes(b"no spool" * 1000)
    (Resumable("record").folder / "run.json").write_bytes(b"")
    with place.start("next") as training:
        pass
    assert place.status(training.record.run_id) == "FINISHED"
    assert len(place.history(run_id, "train/loss")) == len(LOSSES)


def test_a_training_whose_run_is_gone_does_not_block_another(place):
    place.client.delete_run(left_behind(place, "gone"))
    run_id = left_behind(place, "whole")
    with place.start("next"):
        pass
    assert len(place.history(run_id, "train/loss")) == len(LOSSES)
