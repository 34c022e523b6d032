"""Trainers as real processes, forked from a server that has imported everything, so that they start at once."""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import yaml
from waiting import wait_for

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["pipeline.stages.train", "mlflow.store.tracking.sqlalchemy_store"])
FOREVER = 600


def run(folder, hook, uri):
    """Do what `python -m pipeline.stages.train` does in a folder, with a hook of the test."""
    import torch

    from pipeline.stages import train
    from pipeline.system.errors import run as to_the_end
    from pipeline.tracking import store, uploader

    with Path(folder, f"log of {os.getpid()}").open("a") as log:
        for stream in (1, 2):
            os.dup2(log.fileno(), stream)
    # nohup, or a shell that runs the tests in the background, makes every child ignore these
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    torch.set_num_threads(1)
    os.chdir(folder)
    os.environ |= {"DVC_ROOT": folder}
    store.STORE, uploader.PAUSE = uri, 0.2
    if hook:
        hook(Path(folder))
    to_the_end(train.main)


class Trainer:
    """A trainer that runs in a folder."""

    def __init__(self, folder, hook=None, uri=None):
        self.folder = folder
        self.process = SERVER.Process(target=run, args=(str(folder), hook, uri))
        self.begun = time.monotonic()
        self.process.start()

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        os.kill(self.pid, number)

    def ends(self, timeout=120):
        """Wait for the end, and return the exit code."""
        self.process.join(timeout)
        assert self.process.exitcode is not None, f"the trainer is still running:\n{self.output()}"
        return self.process.exitcode

    def killed(self):
        self.signal(signal.SIGKILL)
        return self.ends()

    def output(self):
        return (self.folder / f"log of {self.pid}").read_text().replace("\r", "\n")

    def until(self, holds, timeout=60):
        """Wait for a condition while the trainer lives."""
        wait_for(holds, timeout, self, self.output, pause=0.01)

    def poll(self):
        return self.process.exitcode

    def until_held(self):
        self.until((self.folder / "held").exists)

    def until_step(self, step):
        self.until(lambda: max(saved(self.folder), default=0) >= step)


def hold(folder):
    """Mark by the file `held` that the moment has come, and wait there."""
    (folder / "held").touch()
    time.sleep(FOREVER)


def saved(folder):
    """Return the steps of the checkpoints, newest first."""
    return sorted(int(path.name.partition("-")[0]) for path in folder.glob(".pipeline/work/*/checkpoints/*.ckpt"))[::-1]


def model(folder):
    """Return the digest of every file in model/."""
    files = sorted((folder / "model").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def edit(folder, **sections):
    path = folder / "params.yaml"
    tree = yaml.safe_load(path.read_text())
    for name, values in sections.items():
        tree[name] = tree[name] | values if isinstance(values, dict) else values
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


class Tracked:
    """Runs and metrics in a database of MLflow, read without MLflow."""

    def __init__(self, path, before=()):
        self.path, self.before = path, before

    def ask(self, question, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as base:
            return base.execute(question, values).fetchall()

    def runs(self):
        """Return id and status of each run except earlier ones, in order of their start."""
        found = self.ask("SELECT run_uuid, status FROM runs ORDER BY start_time")
        return [run for run in found if run not in self.before]

    def steps(self, run, name):
        """Return the steps of a metric in order of their timestamps."""
        return [
            step
            for (step,) in self.ask(
                "SELECT step FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY timestamp, step", run, name
            )
        ]
