"""`pipeline doctor` in a workspace where the pipeline ran, and in one whose training was killed."""

import os
import signal

import pytest
from waiting import wait_for
from workspace import LONG, TRAIN, attempt, begin, checkpoints, edit, own_copy, runs, stop

DOCTOR = ("pipeline", "doctor")
PARTS = {"versions", "paths", "disk", "accelerator", "training", "tracking", "locks", "queue", "remote"}


def findings(output):
    """Return the doctor's findings, each as the part's name, whether it is OK, and the text."""
    lines = [line.split(maxsplit=2) for line in output.splitlines() if line.startswith(("OK ", "WRONG "))]
    return [(name, word == "OK", text) for word, name, text in lines]


def only(done, part):
    (found,) = [(well, text) for name, well, text in findings(done.stdout) if name == part]
    return found


def test_good_workspace_is_ok_in_every_part(vae):
    done = attempt(vae, *DOCTOR)
    assert done.returncode == 0, done.stdout + done.stderr
    found = findings(done.stdout)
    assert {name for name, _, _ in found} == PARTS
    assert all(well for _, well, _ in found)


def test_store_that_does_not_answer_is_named(vae):
    done = attempt(vae, *DOCTOR, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert [name for name, well, _ in findings(done.stdout) if not well] == ["tracking"]
    assert "http://127.0.0.1:9" in only(done, "tracking")[1]


@pytest.fixture(scope="module")
def killed(vae, store, tmp_path_factory):
    """The doctor's reports on a training: while it ran, with removal of old ones requested, and after a kill."""
    made = own_copy(vae, store, tmp_path_factory.mktemp("killed"))
    edit(made, LONG | {"train.epochs": 1000})
    trainer = begin(made, *TRAIN)
    try:
        wait_for(lambda: checkpoints(made), 120, trainer)
        found = {"folder": made, "pid": trainer.pid, "running": attempt(made, *DOCTOR, "--clean", "--days", "0")}
        found["kept"] = checkpoints(made)
        stop(trainer, signal.SIGKILL)
    finally:
        if trainer.poll() is None:
            os.killpg(trainer.pid, signal.SIGKILL)
            trainer.wait()
    (found["run"],) = runs(made)
    found["after"] = attempt(made, *DOCTOR)
    found["cleaned"] = attempt(made, *DOCTOR, "--mark-killed", "--clean", "--days", "0")
    (found["marked"],) = runs(made)
    return found


@pytest.mark.slow
def test_running_training_is_ok_and_not_removed(killed):
    assert killed["running"].returncode == 0, killed["running"].stdout
    well, text = only(killed["running"], "training")
    assert well
    assert f"is being trained by process {killed['pid']} on " in text
    assert "to be removed" not in killed["running"].stdout
    assert killed["kept"]


@pytest.mark.slow
def test_run_of_a_killed_training_is_named(killed):
    assert killed["run"].info.status == "RUNNING"
    assert killed["after"].returncode == 1
    well, text = only(killed["after"], "run")
    assert not well
    assert f"{killed['run'].info.run_id} has the status RUNNING, but process {killed['pid']} on " in text
    assert "--mark-killed" in text


@pytest.mark.slow
def test_run_is_marked_and_its_folder_removed_and_its_size_reported(killed):
    done = killed["cleaned"]
    assert f"run {killed['run'].info.run_id} now has the status KILLED" in done.stdout
    assert killed["marked"].info.status == "KILLED"
    assert " MiB" in next(line for line in done.stdout.splitlines() if line.startswith("to be removed: "))
    assert list((killed["folder"] / ".pipeline/work").iterdir()) == []
    assert done.returncode == 0, done.stdout
