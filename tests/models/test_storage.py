import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipeline.data.description import FORMAT
from pipeline.models import storage
from pipeline.models.families import FAMILIES
from pipeline.models.families.base import CHUNK
from pipeline.system import disk
from pipeline.system.errors import ArtifactError


@pytest.fixture(params=FAMILIES)
def saved(request, toy, tmp_path):
    storage.save(tmp_path, toy.family(request.param), toy.about(request.param))
    return tmp_path


def refused(folder):
    with pytest.raises(ArtifactError) as caught:
        storage.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change(folder, **entries):
    """Change the description of a model."""
    tree = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(tree | entries))


def test_the_same_model_has_the_same_bytes(saved, toy, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    name = storage.load(saved).about.family
    storage.save(again, toy.family(name), toy.about(name))
    for file in ("weights.safetensors", "model.json"):
        assert (saved / file).read_bytes() == (again / file).read_bytes()


def test_a_model_is_two_files_and_holds_no_weights_that_only_training_needs(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["model.json", "weights.safetensors"]
    with safe_open(saved / "weights.safetensors", "pt") as file:
        players = {name.partition(".")[0] for name in file.keys()}  # noqa: SIM118
    assert players & {"autoencoder", "generator"}
    assert "critic" not in players


def test_a_loaded_model_takes_no_gradients(saved):
    family = storage.load(saved).family
    assert not family.training
    assert not any(weight.requires_grad for weight in family.parameters())


def test_a_model_samples_stored_items(saved, toy):
    samples = storage.load(saved).sample(3, seed=0)
    assert samples.dtype == np.uint8
    assert samples.shape == (3, *toy.spec.shape)


def test_samples_from_a_number_on_are_those_of_a_longer_run(saved):
    model = storage.load(saved)
    np.testing.assert_array_equal(model.sample(4, 0, first=CHUNK), model.sample(CHUNK + 4, 0)[CHUNK:])
    assert not (model.sample(4, 0) == model.sample(4, 0, first=CHUNK)).all()


@pytest.mark.parametrize("at", [10, 2000, -1])
def test_a_changed_byte_of_the_weights_is_one_line_that_names_them(saved, at):
    data = bytearray((saved / "weights.safetensors").read_bytes())
    data[at] ^= 1
    (saved / "weights.safetensors").write_bytes(data)
    assert "weights.safetensors: missing or corrupt" in refused(saved)


def test_truncated_weights_are_one_line_that_names_them(saved):
    data = (saved / "weights.safetensors").read_bytes()
    (saved / "weights.safetensors").write_bytes(data[: len(data) // 2])
    assert "weights.safetensors: missing or corrupt" in refused(saved)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_a_missing_file_is_one_line_that_names_it(saved, name):
    (saved / name).unlink()
    assert name in refused(saved)


def test_weights_that_are_no_safetensors_are_one_line_although_their_digest_agrees(saved):
    (saved / "weights.safetensors").write_bytes(b"no safetensors")
    change(saved, weights_sha256=disk.sha256(saved / "weights.safetensors"))
    assert "does not fit model.json" in refused(saved)


def test_weights_of_another_size_are_one_line_although_their_digest_agrees(saved):
    weights = load_file(saved / "weights.safetensors")
    name = max(weights, key=lambda each: weights[each].numel())
    save_file(weights | {name: weights[name][..., :1].contiguous()}, saved / "weights.safetensors")
    change(saved, weights_sha256=disk.sha256(saved / "weights.safetensors"))
    assert "does not fit model.json" in refused(saved)


@pytest.mark.parametrize(
    "entries", [{"family": "quantum"}, {"content": "smell"}, {"params": {}}, {"params": None}, {"extra": 1}]
)
def test_a_description_that_cannot_be_built_is_one_line_that_names_it(saved, entries):
    change(saved, **entries)
    assert "model.json" in refused(saved)


def test_a_description_with_an_unknown_parameter_is_one_line_that_names_it(saved):
    tree = json.loads((saved / "model.json").read_text())
    tree["params"][tree["family"]]["unheard_of"] = 1
    change(saved, **tree)
    assert "model.json" in refused(saved)


def test_weights_that_mean_something_else_under_the_same_names_are_refused(saved):
    tree = json.loads((saved / "model.json").read_text())
    assert tree.pop("format") == FORMAT
    (saved / "model.json").write_text(json.dumps(tree))
    assert "a model of format 1" in refused(saved)


def test_samples_that_are_not_finite_are_refused_although_all_weights_are(toy, tmp_path):
    family = toy.family("vae")
    with torch.no_grad():
        for weight in family.parameters():
            weight.fill_(3e38)
    storage.save(tmp_path, family, toy.about("vae"))
    with pytest.raises(ArtifactError, match=r"samples that are not finite; .*dvc repro -f train"):
        storage.load(tmp_path).sample(2, 0)
