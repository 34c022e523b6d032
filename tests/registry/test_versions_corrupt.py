"""Versions whose files were changed in the store, and how the commands of the pipeline treat them."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image
from registered import MODEL, NAME, attempt, challenger, client, do

from pipeline.models import storage
from pipeline.system import disk

pytestmark = pytest.mark.slow


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def version(registered, tmp_path):
    """The folder of a version of its own, `@changed`, in a store of its own."""
    one = challenger(registered)
    uri = client(registered).get_model_version_download_uri(NAME, one.version)
    folder = tmp_path / "version"
    shutil.copytree(uri.removeprefix("file://").replace("%20", " "), folder)
    shutil.copyfile(registered / "mlflow.db", tmp_path / "mlflow.db")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    base = MlflowClient(store, store)
    changed = base.create_model_version(NAME, folder.as_uri(), one.run_id, tags=one.tags)
    base.set_registered_model_alias(NAME, "changed", changed.version)
    return folder


def sample(registered, version, uri=f"models:/{NAME}@changed"):
    """Run the verb, which leaves grid.png beside the version."""
    words = ("pipeline", "sample", uri, "-n", "4", "--out", str(version.with_name("grid.png")))
    return attempt(registered, *words, MLFLOW_TRACKING_URI=f"sqlite:///{version.with_name('mlflow.db')}")


def refused(registered, version):
    done = sample(registered, version)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert not version.with_name("grid.png").exists()
    return error


def test_code_and_pickles_that_were_planted_in_a_version_do_not_run(registered, version):
    mark = version.with_name("mark")
    with (version / "code/pipeline/__init__.py").open("a") as file:
        file.write(f"\n__import__('pathlib').Path({str(mark)!r}).touch()\n")
    for name in ("python_model.pkl", "data/model/weights.pt", "data/model/python_model.pkl"):
        (version / name).write_bytes(pickle.dumps(Payload(mark)))
    done = sample(registered, version)
    assert done.returncode == 0, done.stderr
    assert not mark.exists()
    model = storage.load(registered / "model")
    expected = model.content.show(model.content.decode(model.sample(4, 0)), columns=2)
    with Image.open(version.with_name("grid.png")) as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), np.asarray(expected))
    # the same code does run if MLflow loads the version: a version is code, see docs/serving.md
    load = "import sys, mlflow; mlflow.pyfunc.load_model(sys.argv[1])"
    attempt(version.parent, "python", "-c", load, str(version))
    assert mark.exists()


def test_another_model_in_the_place_of_the_registered_one_is_refused(registered, version, tmp_path):
    copy = Path(
        shutil.copytree(registered, tmp_path / "copy", ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    )
    do(copy, "python", "-c", MODEL, "2")
    storage.load(copy / "model")
    shutil.copytree(copy / "model", version / "data/model", dirs_exist_ok=True)
    assert "@changed: its files differ from the registered ones" in refused(registered, version)


def test_a_pickle_in_the_place_of_weights_is_refused_although_the_description_agrees(registered, version):
    weights, mark = version / "data/model/weights.safetensors", version.with_name("mark")
    before = disk.sha256(weights)
    weights.write_bytes(pickle.dumps(Payload(mark)))
    about = version / "data/model/model.json"
    about.write_text(about.read_text().replace(before, disk.sha256(weights)))
    assert "its files differ from the registered ones" in refused(registered, version)
    assert not mark.exists()


def test_a_changed_bit_of_the_weights_is_refused(registered, version):
    weights = version / "data/model/weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert "weights.safetensors: missing or corrupt" in refused(registered, version)


def test_a_version_without_its_files_is_refused(registered, version):
    shutil.rmtree(version / "data")
    assert "cannot download its files" in refused(registered, version)
