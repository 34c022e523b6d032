"""Whatever file is planted where the project loads one: no code of it runs, and one line says that it is refused."""

import hashlib
import json
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from described import DATASET

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.evidence import Evidence
from pipeline.evaluation.extractors.in_domain import About, InDomain
from pipeline.evaluation.metrics.estimates import mean
from pipeline.evaluation.reference import Reference
from pipeline.models import storage
from pipeline.system import disk
from pipeline.system.errors import UserError
from pipeline.system.project import PREPARED
from pipeline.training import checkpoints
from pipeline.training.checkpoint_io import SafetensorsIO
from pipeline.training.spool import Spool


@dataclass
class Payload:
    """Makes a file when it is unpickled."""

    mark: Path

    def __reduce__(self):
        return Path.touch, (self.mark,)


def write_pickle(path, payload):
    path.write_bytes(pickle.dumps(payload))


def write_torch(path, payload):
    with path.open("wb") as file:
        torch.save({"weights": payload}, file)


def write_numpy(path, payload):
    with path.open("wb") as file:
        np.save(file, np.array([payload], object), allow_pickle=True)


def write_npz(path, payload):
    with path.open("wb") as file:
        np.savez(file, np.array([payload], object))


WAYS = [write_pickle, write_torch, write_numpy, write_npz]


@pytest.mark.parametrize("write", WAYS)
def test_the_planted_files_do_run_code_where_they_are_unpickled(tmp_path, write):
    path, mark = tmp_path / "file", tmp_path / "mark"
    write(path, Payload(mark))
    match write.__name__:
        case "write_pickle":
            pickle.loads(path.read_bytes())
        case "write_torch":
            torch.load(path, weights_only=False)
        case "write_numpy":
            np.load(path, allow_pickle=True)
        case "write_npz":
            np.load(path, allow_pickle=True)["arr_0"]
    assert mark.exists()


def write_model(folder, toy):
    storage.save(folder, toy.family("vae"), toy.about("vae"))


def write_extractor(folder, toy):
    about = About(toy.spec.shape, width=8, dimensions=8, classes=2, task="labels")
    InDomain(about, toy.spec).save(folder)


def write_reference(folder, toy):
    features = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    Reference(features, features, np.arange(5)).write(folder)


def write_evidence(folder, toy):
    Evidence({"seed": 0}, {"ssim": mean(np.arange(5.0), "test")}).write(folder)


def write_data(folder, toy):
    prepared = folder / PREPARED
    prepared.mkdir(parents=True)
    np.save(prepared / "train.npy", toy.items(4))
    np.save(prepared / "train_labels.npy", np.zeros(4, np.int32))
    files = {path.name: disk.sha256(path) for path in prepared.glob("*.npy")}
    disk.write_json(prepared / "dataset.json", DATASET | {"files": files})


def write_checkpoint(folder, toy):
    SafetensorsIO().save_checkpoint({"done": 3, "weights": torch.ones(5)}, folder)


def write_spool(folder, toy):
    Spool(folder / "spool.db").add([("loss", 0.5, step) for step in range(9)])


def load_checkpoint(folder, toy):
    return SafetensorsIO().load_checkpoint(checkpoints.newest(folder))


PLACES = {
    "model": (write_model, lambda folder, toy: storage.load(folder)),
    "extractor": (write_extractor, lambda folder, toy: InDomain.load(folder, toy.spec)),
    "reference": (write_reference, lambda folder, toy: Reference.read(folder)),
    "evidence": (write_evidence, lambda folder, toy: Evidence.read(folder)),
    "arrays": (write_data, lambda folder, toy: PreparedData.open(folder).array("train")),
    "labels": (write_data, lambda folder, toy: PreparedData.open(folder).labels("train")),
    "checkpoint": (write_checkpoint, load_checkpoint),
    "spool": (write_spool, lambda folder, toy: Spool(folder / "spool.db").waiting(9)),
}
FILES = [
    ("model", "weights.safetensors"),
    ("model", "model.json"),
    ("extractor", "extractor.safetensors"),
    ("extractor", "extractor.json"),
    ("reference", "reference.safetensors"),
    ("evidence", "influences.safetensors"),
    ("arrays", "data/prepared/train.npy"),
    ("arrays", "data/prepared/dataset.json"),
    ("labels", "data/prepared/train_labels.npy"),
    ("checkpoint", "*.ckpt"),
    ("spool", "spool.db"),
]
CHECKED = [each for each in FILES if each[1].endswith((".safetensors", ".npy", ".ckpt"))]


@pytest.fixture
def placed(request, toy, tmp_path):
    """A file that is whole where it is loaded from, and how it is loaded."""
    place, pattern = request.param
    write, load = PLACES[place]
    folder = tmp_path / "place"
    folder.mkdir()
    write(folder, toy)
    load(folder, toy)
    (path,) = folder.glob(pattern)
    return path, lambda: load(folder, toy)


def refused(load):
    with pytest.raises(UserError) as caught:
        load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def agree(path):
    """Have every digest that is kept beside a file be that of its bytes, as one who plants it would."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if path.suffix == ".ckpt":
        return path.rename(path.with_name(f"{path.stem.partition('-')[0]}-{digest[:32]}.ckpt"))
    for about in path.parent.glob("*.json"):
        tree = json.loads(about.read_bytes()) if about != path else {}
        if "files" in tree:
            tree["files"][path.name] = digest
        if "weights_sha256" in tree:
            tree["weights_sha256"] = digest
        if tree:
            about.write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize("write", WAYS)
@pytest.mark.parametrize("placed", FILES, indirect=True, ids=lambda each: "/".join(each))
def test_a_planted_pickle_is_refused_and_does_not_run_although_its_digest_agrees(placed, write, tmp_path):
    path, load = placed
    write(path, Payload(tmp_path / "mark"))
    path = agree(path)
    assert path.name in refused(load)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("placed", CHECKED, indirect=True, ids=lambda each: "/".join(each))
@pytest.mark.parametrize("at", [0, 9, 0.5, -1])
def test_a_changed_bit_is_noticed(placed, at):
    path, load = placed
    data = bytearray(path.read_bytes())
    data[int(at * len(data)) if isinstance(at, float) else at] ^= 1
    path.write_bytes(data)
    assert path.name in refused(load) or path.parent.name in refused(load)


@pytest.mark.parametrize("placed", CHECKED, indirect=True, ids=lambda each: "/".join(each))
@pytest.mark.parametrize("size", [0, 8, -1])
def test_a_truncated_file_is_noticed(placed, size):
    path, load = placed
    path.write_bytes(path.read_bytes()[:size])
    assert path.name in refused(load) or path.parent.name in refused(load)


def test_weights_of_another_model_are_refused(toy, tmp_path):
    for name, changes in (("a", {}), ("b", {"beta": 2.0})):
        (tmp_path / name).mkdir()
        family = toy.family("vae", **changes)
        with torch.no_grad():
            next(family.parameters()).mul_(1.0 + changes.get("beta", 0.0))
        storage.save(tmp_path / name, family, toy.about("vae", **changes))
    (tmp_path / "b/weights.safetensors").replace(tmp_path / "a/weights.safetensors")
    assert "weights.safetensors: missing or corrupt" in refused(lambda: storage.load(tmp_path / "a"))


@pytest.mark.parametrize("name", ["python_model.pkl", "weights.pt", "weights.bin", "weights.npy", "model.pkl"])
def test_a_pickle_beside_a_model_is_not_looked_at(toy, tmp_path, name):
    write_model(tmp_path, toy)
    write_pickle(tmp_path / name, Payload(tmp_path / "mark"))
    storage.load(tmp_path)
    assert not (tmp_path / "mark").exists()
