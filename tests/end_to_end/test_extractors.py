"""The whole pipeline with Inception's features, from a file of random weights."""

import hashlib

import numpy as np
import pytest
from PIL import Image
from workspace import attempt, client, do, edit, errors, own_copy, ran, read

SMALL = {
    "image.side": 16,
    "prepare.split": {"train": 0.2, "val": 0.6, "test": 0.2},
    "features.extractor": "inception",
    "train.batch_size": 20,
    "evaluate.samples": 100,
    "evaluate.reconstructions": 10,
}


def some_images(folder):
    """Write 110 grey images of patches, in two classes."""
    rng = np.random.default_rng(0)
    for i in range(110):
        path = folder / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 4), np.uint8).repeat(4, 0).repeat(4, 1)).save(path)


@pytest.fixture(scope="module")
def place(fresh, store, tmp_path_factory):
    from inception_weights import write

    folder = tmp_path_factory.mktemp("inception")
    copy = own_copy(fresh, store, folder)
    some_images(folder / "images")
    write(folder / "random.pth")
    names = {"prepare.source": str(folder / "images"), "features.weights": str(folder / "random.pth")}
    edit(copy, SMALL | names)
    return copy


@pytest.mark.slow
def test_a_gate_for_other_scores_is_one_line_before_anything_runs(place):
    done = attempt(place, "dvc", "repro")
    assert done.returncode != 0
    (error,) = errors(done.stderr)
    assert "gate names fid_in_domain" in error
    assert ran(done.stdout) == ["validate"]


@pytest.mark.slow
def test_scores_are_named_by_the_extractor_and_the_protocol_describes_it(place):
    edit(place, {"gate.decides": ["fid_inception"]})
    do(place, "dvc", "repro")
    scores, protocol = (read(place / f"reports/evaluate/{name}.json") for name in ("scores", "protocol"))
    assert {"fid_inception", "fid_inception_floor", "fid_infinity_inception", "kid_inception"} <= scores.keys()
    assert {"fid_inception_low", "kid_inception_high", "recall", "memorisation"} <= scores.keys()
    assert [name for name in scores if "in_domain" in name or name.startswith("class")] == []
    assert 0 < scores["fid_inception_floor"] < scores["fid_inception"]
    assert protocol["extractor"] == "inception"
    assert protocol["extractor_digest"] == digest(place / "features/extractor.safetensors")
    assert (protocol["precision"], protocol["resize"]) == ("float32", "bilinear to 299 as in TensorFlow 1")
    assert protocol["network"].startswith("torch-fidelity ")
    assert (place / "reports/evaluate/classes.csv").read_text().split() == ["class,samples,test"]
    assert "fid_inception" in (place / "reports/evaluate/report.html").read_text()
    version = client(place).get_model_version_by_alias("images", "challenger")
    assert float(version.tags["fid_inception"]) == pytest.approx(scores["fid_inception"], rel=1e-5)


@pytest.mark.slow
def test_features_of_real_data_are_made_again_for_other_weights_and_not_for_other_models(place):
    edit(place, {"vae.beta": 0.5})
    assert "features" not in ran(do(place, "dvc", "repro", "--dry"))
    edit(place, {"vae.beta": 1.0})
    weights = place.parent / "random.pth"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert "features" in ran(do(place, "dvc", "repro", "--dry"))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
