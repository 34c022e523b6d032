"""Small workspaces whose trainings the tests of this folder kill, stop or starve."""

import gzip
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from server import Server, free_port
from trainer import Tracked, Trainer, edit, model

ROOT = Path(__file__).parents[2]
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
EPOCHS, PER_EPOCH, ITEMS = 4, 7, 300
STEPS = EPOCHS * PER_EPOCH
TINY = {
    "prepare": {"source": "small"},
    "image": {"side": 16},
    "vae": {"latent_dim": 4, "width": 8, "blocks": 0, "components": 2},
    "gan": {"latent_dim": 4, "width": 8, "blocks": 0},
    "train": {"epochs": EPOCHS, "batch_size": 30, "warmup_steps": 2},
    "runtime": {"accelerator": "cpu", "precision": "32-true", "checkpoint_seconds": 0.01},
}


def source(folder):
    """Write the first images of the embedded dataset."""
    folder.mkdir(parents=True)
    for kind, size, head in (("images-idx3", 28 * 28, 16), ("labels-idx1", 1, 8)):
        name = f"t10k-{kind}-ubyte.gz"
        data = gzip.decompress((ROOT / "data/raw/fashion-mnist-10k" / name).read_bytes())
        cut = data[:4] + struct.pack(">I", ITEMS) + data[8:head] + data[head : head + ITEMS * size]
        (folder / name).write_bytes(gzip.compress(cut))


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A workspace with prepared data and a tracking store, before any training."""
    folder = tmp_path_factory.mktemp("faults") / "template"
    source(folder / "data/raw/small")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, folder / name)
    edit(folder, **TINY)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    for code in ("from pipeline.stages.prepare import main", "from pipeline.tracking import connect as main"):
        subprocess.run([sys.executable, "-c", f"{code}\nmain()"], cwd=folder, env=ENV, check=True)
    return folder


@pytest.fixture(scope="session")
def copied(template):
    """A function that copies the template to a folder, for a family."""

    def make(folder, family, **sections):
        shutil.copytree(template, folder)
        edit(folder, family=family, **sections)
        return folder

    return make


@pytest.fixture
def fresh(copied, tmp_path):
    """A function that makes a workspace for a family that only this test uses."""

    def make(family, **sections):
        return copied(tmp_path / f"{family} {len(list(tmp_path.iterdir()))}", family, **sections)

    return make


@pytest.fixture(scope="session")
def left_alone(copied, tmp_path_factory):
    """A function that returns the model of an undisturbed training of a family, and its seconds."""

    def train(family, **sections):
        folder = copied(tmp_path_factory.mktemp("left alone") / family, family, **sections)
        begun = time.monotonic()
        trainer = Trainer(folder)
        assert trainer.ends() == 0, trainer.output()
        return {"model": model(folder), "seconds": time.monotonic() - begun}

    return train


@pytest.fixture(scope="session")
def uninterrupted(left_alone):
    return {family: left_alone(family) for family in ("vae", "gan")}


NAMES = {"vae": ["train/loss", "train/kl"], "gan": ["train/critic_loss", "train/generator_loss"]}


@pytest.fixture
def steps_logged_once():
    """A check that the only run of a store is finished, and has every metric once for each step, in order."""

    def check(base, family):
        ((run, status),) = base.runs()
        assert status == "FINISHED"
        for name in NAMES[family]:
            assert base.steps(run, name) == list(range(STEPS)), name
        if family == "vae":
            assert base.steps(run, "val/elbo") == [PER_EPOCH * (epoch + 1) - 1 for epoch in range(EPOCHS)]

    return check


@pytest.fixture
def is_whole(uninterrupted, steps_logged_once):
    """A check that a workspace is as an uninterrupted training leaves it: same bytes, one run, each metric once."""

    def check(folder, family):
        assert model(folder) == uninterrupted[family]["model"]
        steps_logged_once(Tracked(folder / "mlflow.db"), family)
        images = folder.glob("mlartifacts/*/*/artifacts/images/pictures~samples*.png")
        pictures = sorted(path.name.partition("+timestamp")[0] for path in images)
        assert pictures == [f"pictures~samples+step+{epoch}" for epoch in range(EPOCHS + 1)]

    return check


@pytest.fixture
def closed_port():
    return free_port()


@pytest.fixture(scope="session")
def one_server(template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(template / "mlflow.db", folder / "mlflow.db")
    one = Server(folder, ENV)
    yield one
    one.close()


@pytest.fixture
def server(one_server):
    """A server that is up; its `tracked` shows only the runs that this test makes."""
    one_server.fault = None
    one_server.tracked = Tracked(one_server.database, Tracked(one_server.database).runs())
    return one_server
