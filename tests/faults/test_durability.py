"""Corrupt checkpoints, full disks, and changes after which a training must not resume."""

import random

import moments
import pytest
from trainer import Tracked, Trainer, edit, saved


def stopped(folder):
    """Train for a while, kill the trainer between two checkpoints, and return the checkpoints, newest first."""
    trainer = Trainer(folder, moments.epoch_scored_but_not_saved)
    trainer.until_held()
    trainer.killed()
    return sorted(folder.glob(".pipeline/work/*/checkpoints/*.ckpt"))[::-1]


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    data = bytearray(path.read_bytes())
    at = random.Random(0).randrange(8 * len(data))
    data[at // 8] ^= 1 << at % 8
    path.write_bytes(data)


def errors(trainer):
    return [line for line in trainer.output().splitlines() if line.startswith("error: ")]


def test_newest_two_checkpoints_are_kept(fresh):
    assert len(stopped(fresh("vae"))) == 2


@pytest.mark.parametrize("corruption", [truncate, flip, pytest.param(empty, marks=pytest.mark.slow)])
def test_corrupt_newest_checkpoint_is_named_and_the_one_before_gives_the_same_bits(fresh, is_whole, corruption):
    folder = fresh("vae")
    newest, _ = stopped(folder)
    corruption(newest)
    trainer = Trainer(folder)
    assert trainer.ends() == 0
    assert f"warning: the checkpoint {newest} is corrupt" in trainer.output()
    is_whole(folder, "vae")


def test_no_whole_checkpoint_is_an_error_each_time_and_never_a_fresh_start(fresh):
    folder = fresh("vae")
    found = stopped(folder)
    for path in found:
        truncate(path)
    for _ in range(2):
        trainer = Trainer(folder)
        assert trainer.ends() == 2
        (error,) = errors(trainer)
        assert "none of its 2 checkpoints is whole" in error
        assert "Traceback" not in trainer.output()
    assert sorted(folder.glob(".pipeline/work/*/checkpoints/*"))[::-1] == found
    assert not (folder / "model").exists()


@pytest.mark.parametrize("fault", [moments.disk_full, moments.folder_read_only], ids=["disk full", "folder read-only"])
def test_checkpoint_that_cannot_be_written_is_one_line_and_leaves_those_before_it(fresh, is_whole, fault):
    folder = fresh("vae")
    trainer = Trainer(folder, fault)
    assert trainer.ends() == 2
    (error,) = errors(trainer)
    assert "cannot be written" in error
    assert "Traceback" not in trainer.output()
    assert len(saved(folder)) == 2
    assert list(folder.glob(".pipeline/work/*/checkpoints/.writing")) == []
    assert not (folder / "model").exists()
    assert [status for _, status in Tracked(folder / "mlflow.db").runs()] == ["FAILED"]
    for path in folder.glob(".pipeline/work/*/checkpoints"):
        path.chmod(0o755)
    assert Trainer(folder).ends() == 0
    is_whole(folder, "vae")


@pytest.mark.parametrize(
    "changes",
    [{"vae": {"beta": 2.0}}, {"train": {"ema": 0.5}}, {"runtime": {"precision": "bf16-mixed"}}],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.slow
def test_changed_training_begins_at_the_first_step_in_a_run_of_its_own(fresh, changes):
    folder = fresh("vae")
    stopped(folder)
    edit(folder, **changes)
    assert Trainer(folder).ends() == 0
    base = Tracked(folder / "mlflow.db")
    _, (other, status) = base.runs()
    assert status == "FINISHED"
    assert base.steps(other, "train/loss")[0] == 0
    assert len(list(folder.glob(".pipeline/work/*"))) == 2


@pytest.mark.slow
def test_another_runtime_and_checkpoint_interval_do_not_restart_a_training(fresh, is_whole):
    folder = fresh("vae")
    stopped(folder)
    edit(folder, runtime={"checkpoint_seconds": 60, "accelerator": "auto"})
    assert Trainer(folder).ends() == 0
    is_whole(folder, "vae")
