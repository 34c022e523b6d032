"""Hooks that hold a trainer at a chosen moment, so that a test can kill it exactly there."""

import ctypes
import os
import time
from pathlib import Path

from trainer import hold

AT = 11
"""The step from whose checkpoint on a trainer is held: within an epoch."""


def _before(owner, name, folder, when=lambda *words: True):
    """Replace a function by one that holds the trainer before the call."""
    original = getattr(owner, name)

    def stay(*words, **named):
        if when(*words):
            hold(folder)
        return original(*words, **named)

    setattr(owner, name, stay)


def checkpoint_half_written(folder):
    sync = os.fsync

    def stay(file):
        size = os.fstat(file).st_size
        if size > 10_000 and len(list(folder.glob(".pipeline/work/*/checkpoints/*.ckpt"))) > 1:
            os.ftruncate(file, size // 2)
            hold(folder)
        sync(file)

    os.fsync = stay


def checkpoint_written_but_not_named(folder):
    _before(Path, "replace", folder, lambda path, to: to.suffix == ".ckpt" and _steps(to) >= AT)


def checkpoint_named_but_its_folder_not_on_disk(folder):
    opened = os.open

    def stay(path, *words, **named):
        if Path(os.fsdecode(path)).name == "checkpoints" and len(list(Path(path).glob("*.ckpt"))) > 2:
            hold(folder)
        return opened(path, *words, **named)

    os.open = stay


def old_checkpoint_not_yet_removed(folder):
    _before(Path, "unlink", folder, lambda path, *_: path.suffix == ".ckpt" and _steps(path) >= AT)


def run_made_but_not_recorded(folder):
    from pipeline.tracking import runs

    _before(runs, "Param", folder)


def metrics_sent_but_not_recorded(folder):
    from pipeline.training.spool import Spool

    _before(Spool, "sent", folder, lambda spool, items: any(item.step >= AT for item in items))


def epoch_scored_but_not_saved(folder):
    from pipeline.training.trainer import Checkpoints

    _before(Checkpoints, "on_train_epoch_end", folder, lambda self, trainer, module: module.done > AT)


def model_half_written(folder):
    from pipeline.models import storage

    _before(storage.SavedModel, "write", folder)


def model_about_to_take_its_place(folder):
    _before(Path, "rename", folder, lambda path, to: to.name == "model")


def model_in_place_but_not_its_run(folder):
    from pipeline.training.record import RunRecord

    _before(RunRecord, "write", folder)


def run_about_to_be_finished(folder):
    from mlflow import MlflowClient

    _before(MlflowClient, "set_terminated", folder)


def _steps(path):
    return int(path.name.partition("-")[0])


MOMENTS = [
    checkpoint_half_written,
    checkpoint_written_but_not_named,
    checkpoint_named_but_its_folder_not_on_disk,
    old_checkpoint_not_yet_removed,
    run_made_but_not_recorded,
    metrics_sent_but_not_recorded,
    epoch_scored_but_not_saved,
    model_half_written,
    model_about_to_take_its_place,
    model_in_place_but_not_its_run,
    run_about_to_be_finished,
]


def disk_full(folder):
    """Simulate a full disk once there are two checkpoints: further ones are written to /dev/full."""
    opened = Path.open

    def full(path, *words, **named):
        if path.name == ".writing" and len(list(path.parent.glob("*.ckpt"))) > 1:
            path = Path("/dev/full")
        return opened(path, *words, **named)

    Path.open = full


def folder_read_only(folder):
    """Make the folder of checkpoints read-only once there are two, for root as well."""
    from pipeline.training import checkpoints

    write = checkpoints.write_durably

    def refused(path, data):
        if len(list(path.parent.glob("*.ckpt"))) > 1:
            path.parent.chmod(0o555)
            _obey_permissions()
        write(path, data)

    checkpoints.write_durably = refused


def _obey_permissions():
    """Drop CAP_DAC_OVERRIDE, the Linux capability by which root ignores permissions."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    sets[0] &= ~(1 << 1)
    assert libc.capset(header, sets) == 0


SLOW = 3


def slowly(folder):
    """Slow down the steps from the third on, and mark the first of them by the file `held`."""
    from pipeline.training.module import FamilyModule

    step = FamilyModule.training_step

    def slow(game, share, index):
        if game.done >= SLOW:
            (folder / "held").touch()
            time.sleep(0.3)
        step(game, share, index)

    FamilyModule.training_step = slow
