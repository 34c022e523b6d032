import re
from dataclasses import asdict

import numpy as np
import pytest
import torch

from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors
from pipeline.evaluation.extractors import base, in_domain
from pipeline.evaluation.extractors.in_domain import InDomain
from pipeline.params import FeaturesParams
from pipeline.system import disk
from pipeline.system.errors import ArtifactError


def settings(epochs):
    return FeaturesParams(
        extractor="in_domain", epochs=epochs, width=8, dimensions=8, weights="unused", precision="float32"
    )


def labelled(toy, n, seed=0):
    """Return images, and labels for whether their bar is vertical or horizontal."""
    return toy.items(n, seed), (np.arange(n) % 2).astype(np.int32)


@pytest.fixture(scope="module")
def fitted(toy):
    return in_domain.fit(*labelled(toy, 512), 2, toy.spec, settings(4), seed=0)


def test_an_extractor_distinguishes_classes_on_items_that_it_never_saw(toy, fitted):
    assert fitted.about.task == "labels"
    assert in_domain.accuracy(fitted, *labelled(toy, 200, seed=1)) > 0.97


def test_accuracy_is_a_share_of_the_items_and_falls_with_wrong_labels(toy, fitted):
    items, labels = labelled(toy, 200, seed=1)
    right = in_domain.accuracy(fitted, items, labels)
    assert in_domain.accuracy(fitted, items, 1 - labels) == pytest.approx(1 - right)


def test_without_labels_an_extractor_learns_quarter_turns(toy):
    items = toy.items(384)
    items[:, :, :8, :8] = 255  # a corner that shows which way is up
    found = in_domain.fit(items, None, 0, toy.spec, settings(10), seed=0)
    assert found.about.task == "order"
    assert found.about.classes == 4
    assert in_domain.accuracy(found, items[:100], None) > 0.9


def test_without_labels_an_extractor_learns_how_a_grid_that_is_not_square_is_mirrored():
    spec = DataSpec((1, 16, 24), "grid")
    items = np.random.default_rng(0).integers(0, 40, (384, *spec.shape), np.uint8)
    items[:, :, :6, :6] = 255
    found = in_domain.fit(items, None, 0, spec, settings(10), seed=0)
    assert in_domain.accuracy(found, items[:100], None) > 0.9


def test_without_labels_an_extractor_learns_the_order_of_the_parts_of_a_text():
    spec = DataSpec((32,), "sequence", vocab_size=32)
    start = np.random.default_rng(0).integers(0, 32, (384, 1))
    items = ((start + np.arange(32)) % 32).astype(np.uint8)
    found = in_domain.fit(items, None, 0, spec, settings(10), seed=0)
    assert in_domain.accuracy(found, items[:100], None) > 0.6  # chance is a quarter


def test_features_have_the_size_of_the_params_and_do_not_depend_on_their_batch(toy, fitted):
    items = toy.items(700, seed=2)
    found = fitted.features(items)
    assert found.shape == (700, 8)
    assert found.dtype == np.float32
    np.testing.assert_allclose(fitted.features(items[690:]), found[690:], atol=1e-5)


def test_features_separate_classes_more_than_items_of_one_class(toy, fitted):
    items, labels = labelled(toy, 200, seed=3)
    found = fitted.features(items)
    centres = np.stack([found[labels == label].mean(0) for label in (0, 1)])
    nearest = np.square(found[:, None] - centres).sum(2).argmin(1)
    assert (nearest == labels).mean() > 0.95


def test_fitting_is_a_function_of_items_and_seed(toy):
    first, again, other = (
        in_domain.fit(*labelled(toy, 64), 2, toy.spec, settings(1), seed).features(toy.items(5)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_a_loaded_extractor_gives_the_same_features(toy, fitted, tmp_path):
    fitted.save(tmp_path)
    loaded = InDomain.load(tmp_path, toy.spec)
    items = toy.items(20)
    np.testing.assert_array_equal(loaded.features(items), fitted.features(items))
    assert loaded.about == fitted.about
    features = fitted.features(items)
    np.testing.assert_array_equal(loaded.probabilities(features), fitted.probabilities(features))


def test_the_digest_is_that_of_the_weights(toy, fitted, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        fitted.save(tmp_path / name)
    with (tmp_path / "c" / "extractor.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    a, b, c = (base.digest(tmp_path / name) for name in ("a", "b", "c"))
    assert a == b != c


@pytest.mark.parametrize("name", ["extractor.json", "extractor.safetensors"])
def test_a_missing_file_is_one_line_that_names_it(toy, fitted, tmp_path, name):
    fitted.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        InDomain.load(tmp_path, toy.spec)


@pytest.mark.parametrize("corruption", [b"", b"no safetensors"])
def test_corrupt_weights_are_one_line_that_names_them(toy, fitted, tmp_path, corruption):
    fitted.save(tmp_path)
    (tmp_path / "extractor.safetensors").write_bytes(corruption)
    with pytest.raises(ArtifactError, match=r"extractor\.safetensors"):
        InDomain.load(tmp_path, toy.spec)


def test_weights_of_another_extractor_are_one_line_that_names_them(toy, fitted, tmp_path):
    fitted.save(tmp_path)
    about = disk.read_json(tmp_path / "extractor.json", dict)
    disk.write_json(tmp_path / "extractor.json", about | {"dimensions": 16})
    with pytest.raises(ArtifactError, match=r"extractor\.safetensors") as caught:
        InDomain.load(tmp_path, toy.spec)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 0}, "width"),
        ({"width": 12}, "12"),
        ({"width": 1 << 40}, "many times as many weights"),
        ({"width": 10**30}, "sizes"),
        ({"dimensions": 1.5}, "dimensions"),
        ({"dimensions": 1 << 40}, "many times as many weights"),
        ({"classes": 0}, "classes"),
        ({"classes": True}, "classes"),
        ({"classes": 3}, "head.bias is float32 of the shape"),
        ({"shape": [1, 32, 32]}, "shape is (1, 32, 32), but that of the data is (1, 16, 16)"),
        ({"task": "colours"}, "task"),
        ({"extractor": None}, "extractor"),
        ({"weights_sha256": ["a" * 64]}, "weights_sha256"),
        ({"weights_sha256": None}, "weights_sha256"),
        ({"weights_sha256": "abc"}, "of 64 hex digits"),
    ],
)
def test_a_description_that_something_changed_is_refused_by_what_is_wrong(toy, fitted, tmp_path, changes, said):
    fitted.save(tmp_path)
    about = disk.read_json(tmp_path / "extractor.json", dict)
    disk.write_json(tmp_path / "extractor.json", about | changes)
    with pytest.raises(ArtifactError, match=re.escape(said)) as caught:
        extractors.load(tmp_path, toy.spec)
    assert "\n" not in str(caught.value)
    assert "dvc repro" in str(caught.value)


@pytest.mark.parametrize("value", [torch.tensor(np.nan), torch.tensor(-np.inf), None])
def test_weights_that_are_no_numbers_are_refused_by_name_although_their_digest_agrees(toy, fitted, tmp_path, value):
    weights = fitted.state_dict()
    weights["head.weight"] = weights["head.weight"].int() if value is None else value.expand(2, 8)
    base.write(tmp_path, "in_domain", asdict(fitted.about), weights)
    with pytest.raises(ArtifactError, match=r"extractor\.safetensors: .*head\.weight .*dvc repro -f features"):
        extractors.load(tmp_path, toy.spec)


@pytest.mark.parametrize("size", [16, 28, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_and_colour_can_be_fitted(size, channels):
    spec = DataSpec((channels, size, size), "grid")
    items = np.random.default_rng(0).integers(0, 256, (6, *spec.shape), np.uint8)
    found = in_domain.fit(items, None, 0, spec, settings(1), seed=0)
    assert found.features(items).shape == (6, 8)


@pytest.mark.parametrize(("shares", "learnable"), [((0.5, 0.5), True), ((0.9, 0.1), True), ((0.9, 0.1), False)])
def test_labels_that_cannot_be_learnt_are_replaced_by_orders_whatever_their_shares(toy, tmp_path, shares, learnable):
    names = [f"{part}{kind}.npy" for part in ("train", "val") for kind in ("", "_labels")]
    for seed, (array, labels) in enumerate([names[:2], names[2:]]):
        items, classes = toy.items(600, seed), np.arange(600, dtype=np.int32) % 2
        if shares[0] == 0.9:
            items = items[(classes == 0) | (np.arange(600) % 10 == 1)]
            classes = classes[(classes == 0) | (np.arange(600) % 10 == 1)]
        if not learnable:
            classes = np.random.default_rng(seed).permutation(classes)
        np.save(tmp_path / array, items)
        np.save(tmp_path / labels, classes)
    files = {name: disk.sha256(tmp_path / name) for name in names}
    about = {"content": "image", "settings": {"side": 16, "channels": 1}, "learnt": {}, "classes": ["a", "b"]}
    data = PreparedData(tmp_path, about | {"files": files})
    found = InDomain.make(data, settings(30), 0)
    assert found.about.task == ("labels" if learnable else "order")
    assert (found.class_probabilities(found.features(toy.items(4))) is not None) == learnable
    assert found.protocol["task"] == found.about.task
    expected = in_domain.accuracy(found, data.array("val"), data.labels("val") if learnable else None)
    assert found.metrics(data) == {"val_accuracy": expected}
