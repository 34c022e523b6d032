"""Signals to a trainer, to `dvc` and to both, and a second trainer of the same training."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import moments
import psutil
import pytest
import yaml
from stages import STAGES
from trainer import Tracked, Trainer, model, saved
from waiting import wait_for

from pipeline.cli.doctor import trainings

ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


LONGER, PER_EPOCH = 20, 7
"""Epochs of a training that lasts longer than the detection of its parent's death, and steps of an epoch."""


@pytest.fixture(scope="module")
def longer(copied, tmp_path_factory):
    """The model of a longer, undisturbed training by `dvc` of each family."""

    def train(family):
        folder = copied(tmp_path_factory.mktemp("left alone") / family, family, train={"epochs": LONGER})
        repository(folder)
        assert dvc(folder).wait(120) == 0, (folder / "log").read_text()
        return model(folder)

    return {family: train(family) for family in ("vae", "gan")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_signal_ends_a_trainer_without_success_and_marks_its_run_killed(fresh, is_whole, number):
    folder = fresh("vae")
    trainer = Trainer(folder)
    trainer.until_step(3)
    trainer.signal(number)
    assert trainer.ends() not in (0, None)
    assert [status for _, status in Tracked(folder / "mlflow.db").runs()] == ["KILLED"]
    assert not (folder / "model").exists()
    assert Trainer(folder).ends() == 0
    is_whole(folder, "vae")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_signal_between_two_checkpoints_keeps_the_last_whole_step(fresh, is_whole, monkeypatch, number):
    folder = fresh("gan", runtime={"checkpoint_seconds": 3600})
    trainer = Trainer(folder, moments.slowly)
    trainer.until_held()
    assert saved(folder) == []
    trainer.signal(number)
    trainer.signal(signal.SIGTERM)  # the watch for the parent's death may send this in addition
    assert trainer.ends() not in (0, None)
    (step,) = saved(folder)
    assert moments.SLOW <= step < PER_EPOCH
    assert [status for _, status in Tracked(folder / "mlflow.db").runs()] == ["KILLED"]
    monkeypatch.setenv("DVC_ROOT", str(folder))
    (finding,) = trainings.examine()
    assert f"step {step})" in finding.text
    assert Trainer(folder).ends() == 0
    is_whole(folder, "gan")


def test_second_trainer_of_the_same_training_is_refused_with_the_number_of_the_first(fresh, is_whole):
    folder = fresh("vae")
    first = Trainer(folder)
    first.until_step(1)
    first.signal(signal.SIGSTOP)
    second = Trainer(folder)
    assert second.ends() == 2
    first.signal(signal.SIGCONT)
    (error,) = [line for line in second.output().splitlines() if line.startswith("error: ")]
    assert f"process {first.pid} on" in error
    assert first.ends() == 0
    is_whole(folder, "vae")


def repository(folder):
    """Make a workspace a DVC repository with only the stage `train`."""
    (folder / ".dvc").mkdir()
    stage = {
        "cmd": STAGES["train"]["cmd"],
        "deps": ["data/prepared"],
        "outs": ["model", "reports/train"],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))


def dvc(folder):
    with (folder / "log").open("a") as log:
        return subprocess.Popen(["dvc", "repro"], cwd=folder, env=ENV, stdout=log, stderr=log, start_new_session=True)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["vae", "gan"])
@pytest.mark.parametrize(
    ("whom", "number"),
    [
        ("dvc", signal.SIGKILL),
        ("dvc", signal.SIGTERM),
        ("the trainer", signal.SIGKILL),
        ("the trainer", signal.SIGTERM),
        ("the trainer", signal.SIGINT),
        ("the group", signal.SIGKILL),
        ("the group", signal.SIGTERM),
        ("the group", signal.SIGINT),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_signal_leaves_no_trainer_and_no_partial_model_and_the_next_repro_resumes(fresh, longer, family, whom, number):
    folder = fresh(family, train={"epochs": LONGER})
    repository(folder)
    process = dvc(folder)
    wait_for(lambda: saved(folder), 120, process, (folder / "log").read_text, pause=0.02)
    (trainer,) = psutil.Process(process.pid).children()
    if whom == "the group":
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid if whom == "dvc" else trainer.pid, number)
    assert process.wait(60) != 0
    assert psutil.wait_procs([trainer], timeout=60)[1] == [], "the trainer outlives dvc"
    assert not (folder / "model").exists()
    runs = Tracked(folder / "mlflow.db").runs()
    # a trainer that was killed itself could not record its status
    silent = number == signal.SIGKILL and whom != "dvc"
    assert [status for _, status in runs] == ["RUNNING" if silent else "KILLED"]
    assert dvc(folder).wait(120) == 0, (folder / "log").read_text()
    assert model(folder) == longer[family]
    base = Tracked(folder / "mlflow.db")
    assert base.runs() == [(runs[0][0], "FINISHED")]
    name = {"vae": "train/loss", "gan": "train/critic_loss"}[family]
    assert base.steps(runs[0][0], name) == list(range(LONGER * PER_EPOCH))
