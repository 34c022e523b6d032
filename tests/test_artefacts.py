import json
import time
from dataclasses import replace

import numpy as np
import pytest

from pipeline import artefacts
from pipeline.artefacts import PREPARED, PreparedData, RunRecord, SavedModel
from pipeline.errors import ArtefactError


def test_a_replaced_folder_holds_only_what_was_written(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with artefacts.replacing(folder) as temporary:
        (temporary / "new").write_text("whole")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_stays_as_it_was_when_its_replacement_fails(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("whole")

    def fail():
        with artefacts.replacing(folder) as temporary:
            (temporary / "new").write_text("half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert (folder / "old").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_made_with_its_parents(tmp_path):
    with artefacts.replacing(tmp_path / "data" / "prepared") as temporary:
        (temporary / "a").touch()
    assert (tmp_path / "data" / "prepared" / "a").is_file()


def test_json_has_the_same_bytes_whatever_the_order_of_keys(tmp_path):
    artefacts.write_json(tmp_path / "a.json", {"b": 1, "a": {"d": [1, 2], "c": None}})
    artefacts.write_json(tmp_path / "b.json", {"a": {"c": None, "d": [1, 2]}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert artefacts.read_json(tmp_path / "a.json") == {"a": {"c": None, "d": [1, 2]}, "b": 1}


def test_json_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    artefacts.write_json(tmp_path / "a.json", {"a": 1})
    (tmp_path / ".writing").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        artefacts.write_json(tmp_path / "a.json", {"a": list(range(100_000))})
    assert artefacts.read_json(tmp_path / "a.json") == {"a": 1}


def test_what_a_killed_write_left_does_not_hinder_the_next(tmp_path):
    (tmp_path / ".writing").write_text("half of a file, longer than the next one")
    artefacts.write_json(tmp_path / "a.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert artefacts.read_json(tmp_path / "a.json") == {"a": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_that_json_does_not_know_is_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        artefacts.write_json(tmp_path / "a.json", {"elbo": value})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("damage", [None, b"", b"{", b"\xff\xfe\x00"])
def test_json_that_is_missing_or_damaged_is_one_line_that_names_it(tmp_path, damage):
    if damage is not None:
        (tmp_path / "a.json").write_bytes(damage)
    with pytest.raises(ArtefactError, match=r"a\.json.*dvc repro") as caught:
        artefacts.read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_a_digest_of_values_does_not_depend_on_the_order_of_keys_but_on_every_value():
    assert artefacts.digest_of({"a": 1, "b": 2}) == artefacts.digest_of({"b": 2, "a": 1})
    assert artefacts.digest_of({"a": 1}) != artefacts.digest_of({"a": 2})


def test_a_digest_of_files_depends_on_their_bytes_and_their_order(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1" * 3_000_000)
    b.write_bytes(b"2")
    assert artefacts.sha256(a, b) != artefacts.sha256(b, a)
    b.write_bytes(b"3")
    assert artefacts.sha256(a) != artefacts.sha256(a, b)


def test_prepared_data_are_read_as_they_were_written(tmp_path):
    folder = tmp_path / PREPARED
    folder.mkdir(parents=True)
    about = {
        "content": "image",
        "settings": {"size": 16, "channels": 3},
        "learnt": {},
        "prepare": {"source": "here"},
        "classes": ["a", "b"],
        "digest": "abc",
    }
    np.save(folder / "val.npy", np.zeros((5, 3, 16, 16), np.uint8))
    np.save(folder / "val_labels.npy", np.arange(5, dtype=np.int32))
    files = {path.name: artefacts.sha256(path) for path in folder.glob("*.npy")}
    artefacts.write_json(folder / "dataset.json", about | {"files": files})
    data = PreparedData.open(tmp_path)
    assert data.spec.shape == (3, 16, 16)
    assert isinstance(data.array("val"), np.memmap)
    assert data.labels("val").tolist() == [0, 1, 2, 3, 4]
    assert data.classes == ["a", "b"]
    assert data.digest == "abc"
    assert data.params == {
        "content": "image",
        "image": {"size": 16, "channels": 3},
        "prepare": {"source": "here"},
    }


def test_prepared_data_that_are_missing_are_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(ArtefactError, match=r"dataset\.json.*dvc repro"):
        PreparedData.open(tmp_path)


def test_a_description_of_a_model_is_read_as_it_was_written(toy, tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    toy.about("vae").write(tmp_path)
    assert SavedModel.read(tmp_path) == toy.about("vae")


@pytest.mark.parametrize("damage", [b"other weights", b"", None])
def test_weights_that_are_not_the_ones_described_are_one_line_that_names_them(toy, tmp_path, damage):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"weights")
    toy.about("vae").write(tmp_path)
    path.unlink() if damage is None else path.write_bytes(damage)
    with pytest.raises(ArtefactError, match=r"weights\.safetensors: missing or damaged"):
        SavedModel.read(tmp_path)


@pytest.mark.parametrize("tree", [{}, [], {"weights_sha256": "x"}, {"family": "vae", "weights_sha256": "x"}, None])
def test_a_description_that_is_not_one_of_a_model_is_one_line_that_names_it(tmp_path, tree):
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "model.json").write_text(json.dumps(tree))
    with pytest.raises(ArtefactError, match=r"model\.json"):
        SavedModel.read(tmp_path)


def test_the_digest_of_a_model_changes_with_its_weights_and_with_its_parameters(toy, tmp_path):
    digests = set()
    for weights, changes in ((b"1", {}), (b"2", {}), (b"1", {"beta": 2.0})):
        (tmp_path / "weights.safetensors").write_bytes(weights)
        toy.about("vae", **changes).write(tmp_path)
        digests.add(artefacts.model_digest(tmp_path))
    assert len(digests) == 3


def test_a_record_of_a_run_lies_beside_the_model_and_is_read_as_it_was_written(tmp_path):
    record = RunRecord("abc", "fashion", "0123")
    record.write(tmp_path)
    read = RunRecord.read(tmp_path)
    assert read == replace(record, ended=read.ended)
    assert read.began <= read.ended <= time.time()
    assert (tmp_path / "reports" / "train" / "run.json").is_file()
