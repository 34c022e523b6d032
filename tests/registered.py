"""A workspace whose model is registered as a version in a real MLflow registry."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from mlflow import MlflowClient
from PIL import Image

from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.metrics.estimates import Estimate
from pipeline.params import Params
from pipeline.registry.lineage import PICTURES
from pipeline.training import environment

ROOT = Path(__file__).parents[1]
NAME = "small clothes"
SCORES = {
    name + end: value + more
    for name, value in (("fid_in_domain", 12.5), ("reconstruction_loss", 0.03125), ("memorisation", 0.25))
    for end, more in (("", 0), ("_low", -1), ("_high", 1))
}
PROTOCOL = {
    "extractor_digest": "e" * 64,
    "digest": "f" * 64,
    "seed": 0,
    "real": 2000,
    "samples": 2000,
    "reconstructions": 256,
}
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTHON"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    **{f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def attempt(folder, *words, **env):
    return subprocess.run(words, cwd=folder, env=ENV | env, capture_output=True, text=True, timeout=180, check=False)


def do(folder, *words, **env):
    done = attempt(folder, *words, **env)
    assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


MODEL = """
import sys
from pathlib import Path
import torch
from pipeline.data.prepared import PreparedData
from pipeline.models import families, storage
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.system import disk
from pipeline.training.record import RunRecord
seed, folder = int(sys.argv[1]), Path("model")
params, data = Params.load(Path()), PreparedData.open(Path())
torch.manual_seed(seed)
settings = params.vae.model_dump()
made_with = {"seed": seed, "family": "vae", "vae": settings, "train": params.train.model_dump(), **data.params}
about = SavedModel("vae", "image", made_with, data.digest)
with disk.replacing(folder) as temporary:
    storage.save(temporary, families.build("vae", settings, data.spec), about)
RunRecord(str(seed) * 32, data.about["source"], str(seed) * 16).write(Path())
"""


def evaluate(folder, scores, protocol):
    """Write the files that an evaluation leaves for `register`."""
    (folder / "reports/evaluate/scores.json").write_text(json.dumps(scores))
    found = {name: Estimate(value) for name, value in scores.items() if not name.endswith(("_low", "_high"))}
    Evidence(protocol, found).write(folder / "reports/evaluate")


def register_twice(folder):
    """Make a folder a committed workspace, and register an untrained model there twice."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["register"]["name"] = NAME
    params["vae"] |= {"latent_dim": 4, "width": 8, "blocks": 0, "components": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    shutil.copyfile(ROOT / ".gitignore", folder / ".gitignore")
    for part in ("data/prepared", "reports/evaluate", "reports/train"):
        (folder / part).mkdir(parents=True)
    about = {
        "seed": 0,
        "source": NAME,
        "homepage": None,
        "digest": "d" * 64,
        "content": "image",
        "settings": {"side": 28, "channels": 1},
        "learnt": {},
        "prepare": params["prepare"],
        "title": None,
        "licence": None,
        "counts": {"train": 8, "val": 2, "test": 2},
        "rejected": 0,
        "duplicates": 0,
        "files": {},
        "classes": ["."],
    }
    (folder / "data/prepared/dataset.json").write_text(json.dumps(about))
    evaluate(folder, SCORES, PROTOCOL)
    (folder / "reports/train/environment.json").write_text(
        json.dumps(environment.describe(Params.load(folder).runtime))
    )
    for name in PICTURES:
        Image.new("L", (8, 8)).save(folder / "reports/evaluate" / name)
    do(folder, "git", "init", "--quiet", "--initial-branch", "main")
    do(folder, "git", "add", ".")
    do(folder, "git", "commit", "--quiet", "--message", "all")
    do(folder, "python", "-c", MODEL, "1")
    do(folder, "python", "-m", "pipeline.stages.register")
    shutil.copyfile(folder / "reports/register/version.json", folder / "reports/register/at first.json")
    do(folder, "python", "-m", "pipeline.stages.register")


def client(workspace):
    uri = f"sqlite:///{workspace / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def challenger(workspace):
    return client(workspace).get_model_version_by_alias(NAME, "challenger")
