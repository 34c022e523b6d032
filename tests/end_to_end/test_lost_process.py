"""A training of several processes, one of which ends too early."""

import os
import signal
import sys
import time

import psutil
import pytest
from waiting import wait_for
from workspace import LONG, TRAIN, attempt, begin, checkpoints, digests, do, edit, errors, own_copy, runs

TWO = LONG | {"runtime.devices": 2, "train.epochs": 20}
# like `python -m pipeline.stages.train`, with a mistake in the third step
WRONG = """
import os
from dataclasses import replace
from pipeline.models.families.vae import Vae
from pipeline.system.errors import run
from pipeline.stages.train import main

loss, steps = Vae.loss, []

def wrong(*words):
    losses = loss(*words)
    steps.append(0)
    if len(steps) == 3:
        {}
    return losses

Vae.loss = wrong
if __name__ == "__main__":
    run(main)
"""
RAISES = 'if os.environ.get("LOCAL_RANK") == "1": raise ZeroDivisionError("a mistake of the second process")'
INFINITE = 'losses = replace(losses, total=losses.total * float("inf"))'


@pytest.fixture(scope="module")
def uninterrupted(vae, store, tmp_path_factory):
    """A workspace in which two processes trained without interruption."""
    made = own_copy(vae, store, tmp_path_factory.mktemp("uninterrupted by two"))
    edit(made, TWO)
    do(made, *TRAIN)
    return made


def assert_leader_failed(process, output, folder):
    """Check that the leading process and its run failed, and return the run's id."""
    assert process.returncode not in (0, None)
    assert len(errors(output)) == 1, output
    assert "another process of this training ended" in errors(output)[0]
    (run,) = runs(folder)
    assert run.info.status == "FAILED"
    return run.info.run_id


@pytest.mark.slow
def test_killed_process_ends_the_training_which_resumes_to_the_same_bytes(copy, uninterrupted):
    edit(copy, TWO)
    leader = begin(copy, *TRAIN)
    try:
        wait_for(lambda: checkpoints(copy), 120, leader)
        (other,) = [each for each in psutil.Process(leader.pid).children() if "pipeline.stages.train" in each.cmdline()]
        killed = time.monotonic()
        other.kill()
        output = leader.communicate(timeout=60)[1]
        assert time.monotonic() - killed < 60
    finally:
        leader.kill()
        leader.wait()
    run = assert_leader_failed(leader, output, copy)
    do(copy, *TRAIN)
    (ended,) = runs(copy)
    assert (ended.info.run_id, ended.info.status) == (run, "FINISHED")
    assert digests(copy, "model", "reports/train/curves") == digests(uninterrupted, "model", "reports/train/curves")


@pytest.mark.slow
def test_mistake_of_one_process_is_shown_and_ends_the_training(copy):
    edit(copy, TWO)
    (copy / "wrong.py").write_text(WRONG.format(RAISES))
    leader = begin(copy, sys.executable, "wrong.py", PYTHONPATH=str(copy))
    try:
        output = leader.communicate(timeout=120)[1]
    finally:
        if leader.poll() is None:
            os.killpg(leader.pid, signal.SIGKILL)
            leader.wait()
    assert "ZeroDivisionError: a mistake of the second process" in output
    assert_leader_failed(leader, output, copy)


@pytest.mark.slow
def test_loss_that_is_not_finite_is_one_line_of_all_processes(copy):
    edit(copy, TWO)
    (copy / "wrong.py").write_text(WRONG.format(INFINITE))
    done = attempt(copy, sys.executable, "wrong.py", PYTHONPATH=str(copy))
    (error,) = errors(done.stderr)
    assert "the loss of autoencoder is inf at step 2" in error
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    (run,) = runs(copy)
    assert run.info.status == "FAILED"
