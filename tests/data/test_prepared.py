import json
import time
from dataclasses import replace

import numpy as np
import pytest
from described import DATASET

from pipeline.data.prepared import PreparedData
from pipeline.models import saved
from pipeline.models.saved import SavedModel
from pipeline.system import disk
from pipeline.system.errors import ArtifactError
from pipeline.system.project import PREPARED
from pipeline.training.record import RunRecord


def test_prepared_data_are_read_as_they_were_written(tmp_path):
    folder = tmp_path / PREPARED
    folder.mkdir(parents=True)
    about = DATASET | {"settings": {"side": 16, "channels": 3}, "digest": "a" * 64}
    np.save(folder / "val.npy", np.zeros((5, 3, 16, 16), np.uint8))
    np.save(folder / "val_labels.npy", np.arange(5, dtype=np.int32))
    files = {path.name: disk.sha256(path) for path in folder.glob("*.npy")}
    disk.write_json(folder / "dataset.json", about | {"files": files})
    data = PreparedData.open(tmp_path)
    assert data.spec.shape == (3, 16, 16)
    assert isinstance(data.array("val"), np.memmap)
    assert data.labels("val").tolist() == [0, 1, 2, 3, 4]
    assert data.classes == ["a", "b"]
    assert data.digest == "a" * 64
    assert data.params == {
        "seed": 0,
        "content": "image",
        "image": {"side": 16, "channels": 3},
        "prepare": {"source": "here"},
    }


def test_prepared_data_that_are_missing_are_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"dataset\.json.*dvc repro"):
        PreparedData.open(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"content": "smells"}, "content is 'smells'"),
        ({"settings": {}}, "image.side is missing"),
        ({"settings": {"side": 0, "channels": 1}}, "image.side is 0"),
        ({"settings": {"side": True, "channels": 1}}, "image.side is True"),
        ({"settings": {"side": 16, "channels": 1, "shade": 2}}, "image.shade is unknown"),
        ({"learnt": {"alphabet": [1]}}, "no content"),
    ],
)
def test_prepared_data_of_no_content_are_one_line_that_says_what_to_do(tmp_path, changes, said):
    disk.write_json(tmp_path / PREPARED / "dataset.json", DATASET | changes)
    with pytest.raises(ArtifactError, match=rf"dataset\.json: .*{said}.*dvc repro -f prepare"):
        _ = PreparedData.open(tmp_path).spec


def test_a_description_of_a_model_is_read_as_it_was_written(toy, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    toy.about("vae").write(tmp_path)
    assert SavedModel.read(tmp_path) == toy.about("vae")


@pytest.mark.parametrize("corruption", [b"other weights", b"", None])
def test_weights_that_are_not_the_ones_described_are_one_line_that_names_them(toy, tmp_path, corruption):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"weights")
    toy.about("vae").write(tmp_path)
    path.unlink() if corruption is None else path.write_bytes(corruption)
    with pytest.raises(ArtifactError, match=r"weights\.safetensors: missing or corrupt"):
        SavedModel.read(tmp_path)


@pytest.mark.parametrize("tree", [{}, [], {"weights_sha256": "x"}, {"family": "vae", "weights_sha256": "x"}, None])
def test_a_description_that_is_not_one_of_a_model_is_one_line_that_names_it(tmp_path, tree):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "model.json").write_text(json.dumps(tree))
    with pytest.raises(ArtifactError, match=r"model\.json"):
        SavedModel.read(tmp_path)


def test_the_digest_of_a_model_changes_with_its_weights_and_with_its_parameters(toy, tmp_path):
    digests = set()
    for weights, changes in ((b"1", {}), (b"2", {}), (b"1", {"beta": 2.0})):
        (tmp_path / "weights.safetensors").write_bytes(weights)
        toy.about("vae", **changes).write(tmp_path)
        digests.add(saved.model_digest(tmp_path))
    assert len(digests) == 3


def test_a_record_of_a_run_lies_beside_the_model_and_is_read_as_it_was_written(tmp_path):
    record = RunRecord("abc", "fashion", "0123")
    record.write(tmp_path)
    read = RunRecord.read(tmp_path)
    assert read == replace(record, ended=read.ended)
    assert read.began <= read.ended <= time.time()
    assert (tmp_path / "reports" / "train" / "run.json").is_file()
