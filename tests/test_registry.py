"""Versions in a real MLflow registry, and what a person who loads one gets."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image

ROOT = Path(__file__).parents[1]
NAME = "small clothes"
SCORES = {
    name + end: value + more
    for name, value in (("fid_in_domain", 12.5), ("reconstruction_loss", 0.03125), ("memorisation", 0.25))
    for end, more in (("", 0), ("_low", -1), ("_high", 1))
}
PROTOCOL = {"extractor_digest": "e" * 64, "digest": "f" * 64}
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
from pipeline import artefacts, families, models
from pipeline.artefacts import PreparedData, RunRecord, SavedModel
from pipeline.params import Params
seed, folder = int(sys.argv[1]), Path("model")
params, data = Params.load(Path()), PreparedData.open(Path())
torch.manual_seed(seed)
settings = params.vae.model_dump()
about = SavedModel("vae", "image", {"seed": seed, "family": "vae", "vae": settings, **data.params}, data.digest)
with artefacts.replacing(folder) as temporary:
    models.save(temporary, families.build("vae", settings, data.spec), about)
RunRecord(str(seed) * 32, str(data.about["source"]), str(seed) * 16).write(Path())
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A committed workspace in which an untrained model was registered, twice."""
    folder = tmp_path_factory.mktemp("workspace")
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["register"]["name"] = NAME
    params["vae"] |= {"latent_dim": 4, "width": 8, "blocks": 0, "components": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    shutil.copyfile(ROOT / ".gitignore", folder / ".gitignore")
    for part in ("data/prepared", "reports/evaluate"):
        (folder / part).mkdir(parents=True)
    about = {
        "source": NAME,
        "homepage": None,
        "digest": "d" * 64,
        "content": "image",
        "settings": {"size": 28, "channels": 1},
        "prepare": params["prepare"],
        "title": None,
        "licence": None,
        "counts": {"train": 8, "val": 2, "test": 2},
        "rejected": 0,
        "duplicates": 0,
        "classes": ["."],
    }
    (folder / "data/prepared/dataset.json").write_text(json.dumps(about))
    np.save(folder / "data/prepared/test.npy", np.zeros((2, 1, 28, 28), np.uint8))
    (folder / "reports/evaluate/metrics.json").write_text(json.dumps(SCORES))
    (folder / "reports/evaluate/protocol.json").write_text(json.dumps(PROTOCOL))
    do(folder, "git", "init", "--quiet", "--initial-branch", "main")
    do(folder, "git", "add", ".")
    do(folder, "git", "commit", "--quiet", "--message", "all")
    do(folder, "python", "-c", MODEL, "1")
    do(folder, "python", "-m", "pipeline.stages.register")
    shutil.copyfile(folder / "reports/register/version.json", folder / "reports/register/at first.json")
    do(folder, "python", "-m", "pipeline.stages.register")
    return folder


def client(workspace):
    uri = f"sqlite:///{workspace / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def challenger(workspace):
    return client(workspace).get_model_version_by_alias(NAME, "challenger")


def left(workspace):
    return json.loads((workspace / "reports/register/version.json").read_bytes())


def test_version_can_be_traced_to_code_data_params_and_scores(workspace):
    from pipeline.artefacts import digest_of, model_digest

    version = challenger(workspace)
    tags = version.tags
    assert tags["git.commit"] == do(workspace, "git", "rev-parse", "HEAD").strip()
    assert tags["git.dirty"] == "false"
    assert tags["data_digest"] == "d" * 64
    assert tags["extractor_digest"] == "e" * 64
    assert tags["protocol_digest"] == "f" * 64
    assert tags["model_digest"] == model_digest(workspace / "model")
    about = json.loads((workspace / "model/model.json").read_bytes())
    assert tags["params_digest"] == digest_of(about["params"])
    assert {name: float(tags[name]) for name in SCORES} == SCORES
    run = client(workspace).get_run(tags["run_id"])
    assert run.info.run_id == version.run_id
    assert run.data.tags["restored_from"] == "1" * 32


def test_stage_leaves_which_version_it_made(workspace):
    version = challenger(workspace)
    assert left(workspace) == {
        "name": NAME,
        "version": int(version.version),
        "run_id": version.run_id,
        "model_digest": version.tags["model_digest"],
    }


def test_same_bytes_make_one_version(workspace):
    assert len(client(workspace).search_model_versions(f"name = '{NAME}'")) == 1
    assert left(workspace) == json.loads((workspace / "reports/register/at first.json").read_bytes())


@pytest.mark.slow
def test_other_bytes_make_another_version_and_known_ones_become_the_challenger_again(workspace, tmp_path):
    tracked = shutil.ignore_patterns("mlflow.db", "mlartifacts")
    copy = Path(shutil.copytree(workspace, tmp_path / "copy", ignore=tracked))
    (copy / "params.yaml").write_text((copy / "params.yaml").read_text() + "# changed\n")
    do(copy, "python", "-m", "pipeline.stages.register")
    do(copy, "python", "-c", MODEL, "2")
    do(copy, "python", "-m", "pipeline.stages.register")
    assert (left(copy)["version"], int(challenger(copy).version)) == (2, 2)
    assert challenger(copy).tags["git.dirty"] == "true"
    do(copy, "python", "-c", MODEL, "1")
    do(copy, "python", "-m", "pipeline.stages.register")
    assert (left(copy)["version"], int(challenger(copy).version)) == (1, 1)
    assert len(client(copy).search_model_versions(f"name = '{NAME}'")) == 2


# Hides the installed package, so that what is imported can only be the code that the version carries
ELSEWHERE = """
import importlib.util, json, sys
from pathlib import Path
sys.path[:] = [each for each in sys.path if not (Path(each or ".") / "pipeline").is_dir()]
sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in getattr(each, "__module__", "")]
assert importlib.util.find_spec("pipeline") is None, "the installed package is in the way"
import mlflow.pyfunc
import numpy as np
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}@challenger")
import pipeline
answers = [model.predict({"n": 16, "seed": seed}) for seed in (0, 0, 1)]
np.savez("answers.npz", *answers)
Path("code.json").write_text(json.dumps(pipeline.__file__))
"""


def test_version_samples_alone_in_an_empty_folder(workspace, tmp_path):
    do(tmp_path, "python", "-c", ELSEWHERE, NAME, MLFLOW_TRACKING_URI=f"sqlite:///{workspace / 'mlflow.db'}")
    code = Path(json.loads((tmp_path / "code.json").read_bytes()))
    assert code.parts[-3:] == ("code", "pipeline", "__init__.py")
    assert not code.is_relative_to(ROOT)
    assert not (workspace / "pipeline").exists()
    first, again, other = np.load(tmp_path / "answers.npz").values()
    assert (first.shape, first.dtype) == ((16, 28, 28, 1), np.uint8)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_version_carries_pinned_requirements_and_no_pickle(workspace):
    folder = Path(challenger_folder(workspace))
    pinned = [line for line in (folder / "requirements.txt").read_text().splitlines() if line]
    assert pinned
    assert [line for line in pinned if "==" not in line] == []
    about = yaml.safe_load((folder / "MLmodel").read_text())
    assert about["flavors"]["python_function"]["loader_module"] == "pipeline.serving"
    assert {column["name"] for column in json.loads(about["signature"]["inputs"])} == {"n", "seed"}
    assert about["saved_input_example_info"]
    assert [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")] == []
    for name in ("weights.safetensors", "model.json"):
        assert (folder / "data/model" / name).read_bytes() == (workspace / "model" / name).read_bytes()


def challenger_folder(workspace):
    uri = client(workspace).get_model_version_download_uri(NAME, challenger(workspace).version)
    return uri.removeprefix("file://").replace("%20", " ")


def test_sample_verb_draws_from_the_registry_what_it_draws_from_the_folder(workspace, tmp_path):
    from_registry, from_folder = tmp_path / "a" / "registry.png", tmp_path / "folder.png"
    words = ("pipeline", "sample", "-n", "9", "--seed", "5", "--out")
    do(workspace, *words, str(from_registry), f"models:/{NAME}@challenger")
    do(workspace, *words, str(from_folder), "model")
    with Image.open(from_registry) as one, Image.open(from_folder) as other:
        assert one.width > 3 * 28
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    "uri",
    [
        f"models:/{NAME}@nobody",
        pytest.param("models:/unknown@challenger", marks=pytest.mark.slow),
        pytest.param(f"models:/{NAME}/99", marks=pytest.mark.slow),
        pytest.param("models:/", marks=pytest.mark.slow),
    ],
)
def test_unknown_version_is_one_line(workspace, uri, tmp_path):
    done = attempt(workspace, "pipeline", "sample", uri, "--out", str(tmp_path / "grid.png"))
    assert done.returncode == 2, done.stderr
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"error: {uri}")
    assert list(tmp_path.iterdir()) == []
