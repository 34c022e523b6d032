"""Commands on a workspace, and readings of its files and of its tracking store."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import yaml
from mlflow import MlflowClient
from safetensors.torch import load_file
from waiting import wait_for

from pipeline.tracking import store

ROOT = Path(__file__).parents[2]
NAME = "fashion-mnist-10k"
STEPS = 50
"""Steps of an epoch of TINY: 7000 items in batches of 140."""
TINY = {
    "features.epochs": 1,
    "features.width": 8,
    "features.dimensions": 16,
    "vae.latent_dim": 8,
    "vae.width": 16,
    "vae.blocks": 0,
    "vae.components": 2,
    "gan.latent_dim": 8,
    "gan.width": 16,
    "gan.blocks": 0,
    "gan.projection_steps": 2,
    "gan.projection_starts": 1,
    "train.epochs": 1,
    "train.batch_size": 140,
    "train.warmup_steps": 2,
    "evaluate.samples": 200,
    "evaluate.reconstructions": 50,
    "runtime.accelerator": "cpu",
    # models of two processes are compared with those of one to more digits than bfloat16 has
    "runtime.precision": "32-true",
}
LONG = {"train.epochs": 40, "train.batch_size": 500, "runtime.checkpoint_seconds": 0.2}
TRAIN = ("python", "-m", "pipeline.stages.train")
# networks this small run slower on two threads than on one
ENV = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("DVC_", "MLFLOW_", "PYTHON", "SLURM_", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_"))
} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    **{f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def attempt(folder, *words, **env):
    """Run a command, and return its exit code and output."""
    return subprocess.run(
        words, cwd=folder, env=ENV | env, capture_output=True, text=True, timeout=600, check=False, errors="replace"
    )


def do(folder, *words, **env):
    """Run a command that must succeed, and return its stdout."""
    done = attempt(folder, *words, **env)
    assert done.returncode == 0, (
        f"{' '.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    return done.stdout


def begin(folder, *words, **env):
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        words, cwd=folder, env=ENV | env, start_new_session=True, stderr=subprocess.PIPE, text=True, errors="replace"
    )


def ran(output):
    """Return the stages that a `dvc repro` ran, in order."""
    return re.findall(r"^Running stage '(?:.*:)?(\w+)'", output, re.MULTILINE)


def errors(output):
    """Return the error lines for the user."""
    return [line for line in output.splitlines() if line.startswith("error: ")]


def edit(folder, changes):
    """Change params.yaml."""
    path = folder / "params.yaml"
    tree = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        *sections, field = name.split(".")
        section = tree
        for each in sections:
            section = section[each]
        assert field in section, f"params.yaml has no {name}"
        section[field] = value
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def read(path):
    return json.loads(path.read_bytes())


def digests(folder, *parts):
    """Return the digest of every file below some parts of a workspace."""
    files = [path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def furthest(model, other):
    """Return the largest difference between a weight of one model and the same weight of another."""
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (model, other))
    assert ours.keys() == theirs.keys()
    return max((ours[name].double() - theirs[name].double()).abs().max().item() for name in ours)


def client(folder):
    uri = store.address(folder / "mlflow.db")
    return MlflowClient(uri, uri)


def runs(folder, name=NAME):
    """Return the runs of an experiment, oldest first."""
    base = client(folder)
    place = base.get_experiment_by_name(name)
    return base.search_runs([place.experiment_id], order_by=["attributes.start_time"]) if place else []


def history(folder, run, name):
    """Return the values of a metric as (step, value), in order of their steps."""
    return sorted((point.step, point.value) for point in client(folder).get_metric_history(run, name))


def run_id(folder):
    return read(folder / "reports/train/run.json")["run_id"]


def own_copy(workspace, store, to):
    """Copy a workspace with DVC's cache and all outs and an empty tracking store, and return the copy."""
    left = shutil.ignore_patterns("mlflow.db*", "mlartifacts", ".pipeline", "tmp")
    copy = Path(shutil.copytree(workspace, to / "copy", ignore=left, symlinks=True))
    shutil.copyfile(store, copy / "mlflow.db")
    return copy


def checkpoints(folder):
    return list(folder.glob(".pipeline/work/*/checkpoints/*.ckpt"))


def stop(process, number):
    """Send a signal to a process group, wait for all of its processes, and return the exit code."""
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, number)
    process.communicate(timeout=60)
    assert psutil.wait_procs(children, timeout=30)[1] == []
    return process.returncode


def train_and_stop(folder, number, *words, **env):
    """Start a training, stop its process group once there is a checkpoint, and return the exit code."""
    process = begin(folder, *words, **env)
    try:
        wait_for(lambda: checkpoints(folder), 120, process)
        return stop(process, number)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
