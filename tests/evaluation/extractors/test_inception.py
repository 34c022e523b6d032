"""Our Inception-v3 against torch-fidelity's, with the same random weights."""

import hashlib

import numpy as np
import pytest
import torch
import torch_fidelity
from inception_weights import images, write
from torch.utils.data import Dataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from pipeline.contents.base import DataSpec
from pipeline.data.prepared import PreparedData
from pipeline.evaluation import extractors
from pipeline.evaluation.extractors import base, weights
from pipeline.evaluation.extractors.inception import DIMENSIONS, SIDE, Inception, _resizing
from pipeline.evaluation.metrics.features import compact
from pipeline.evaluation.metrics.frechet import frechet
from pipeline.evaluation.metrics.kernel import kid
from pipeline.params import FeaturesParams
from pipeline.system.errors import ArtifactError, SourceError


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("weights") / "random.pth")


@pytest.fixture(scope="module")
def made(file):
    """Return a function that builds our extractor for images of some shape, once per shape and precision."""
    found = {}

    def make(channels, side, precision="float32"):
        key = channels, side, precision
        if key not in found:
            found[key] = Inception(weights.read(file), precision, DataSpec((channels, side, side), "grid"))
        return found[key]

    return make


@pytest.fixture(scope="module")
def theirs(file):
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=file)


def apart(a, b):
    """Return the distance of features a from b, relative to the spread of b over images."""
    return np.linalg.norm(a - b) / np.linalg.norm(b - b.mean(0))


class Coloured(Dataset):
    """Images in the format that torch-fidelity takes."""

    def __init__(self, array):
        self.array = torch.from_numpy(array.repeat(3 // array.shape[1], axis=1))

    def __len__(self):
        return len(self.array)

    def __getitem__(self, i):
        return self.array[i]


@pytest.mark.parametrize("side", [16, 28, 256, 299, 320])
def test_images_are_resized_as_torch_fidelity_does(side):
    x = torch.from_numpy(images(1, 3, side)).float()
    matrix = _resizing(side)
    expected = interpolate_bilinear_2d_like_tensorflow1x(x, size=(SIDE, SIDE), align_corners=False)
    torch.testing.assert_close(matrix @ x @ matrix.T, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 320)])
def test_features_are_those_of_torch_fidelity(made, theirs, channels, side):
    array = images(4, channels, side)
    expected = theirs(Coloured(array).array)[0].numpy()
    found = made(channels, side).features(array)
    assert (found.shape, found.dtype) == ((4, DIMENSIONS), np.float32)
    assert apart(found, expected) < 1e-4
    assert expected.std(0).mean() > 0.01


@pytest.mark.slow
def test_distances_are_those_of_torch_fidelity(made, file):
    real, generated = images(32, 1, 28, seed=1), images(32, 1, 28, seed=2) // 2
    published = torch_fidelity.calculate_metrics(
        input1=Coloured(real),
        input2=Coloured(generated),
        cuda=False,
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=32,  # all images, so that the estimate is over all pairs
        feature_extractor_weights_path=str(file),
        save_cpu_ram=True,
        cache=False,
        verbose=False,
    )
    ours = made(1, 28)
    a, b = ours.features(real), ours.features(generated)
    assert frechet(*compact(a, b)).value == pytest.approx(published["frechet_inception_distance"], rel=1e-4)
    assert kid(a, b).value == pytest.approx(published["kernel_inception_distance_mean"], rel=1e-4)


@pytest.mark.slow
def test_a_loaded_extractor_gives_the_same_features_and_protocol(made, tmp_path):
    first, array = made(1, 28), images(2, 1, 28)
    first.save(tmp_path)
    loaded = extractors.load(tmp_path, DataSpec((1, 28, 28), "grid"))
    np.testing.assert_array_equal(loaded.features(array), first.features(array))
    assert loaded.protocol == first.protocol
    assert loaded.protocol["precision"] == "float32"
    assert loaded.class_probabilities(first.features(array)) is None


@pytest.mark.slow
def test_bfloat16_is_near_and_named(made):
    array = images(4, 1, 28)
    rough = made(1, 28, "bfloat16")
    assert 1e-4 < apart(rough.features(array), made(1, 28).features(array)) < 0.2
    assert rough.protocol["precision"] == "bfloat16"


@pytest.mark.slow
def test_no_images_have_no_features(made):
    assert made(1, 28).features(images(0, 1, 28)).shape == (0, DIMENSIONS)


@pytest.mark.slow
def test_weights_that_were_corrupt_after_saving_are_one_line(made, tmp_path):
    made(1, 28).save(tmp_path)
    path = tmp_path / "extractor.safetensors"
    with path.open("r+b") as opened:
        opened.seek(-1, 2)
        opened.write(b"?")
    with pytest.raises(ArtifactError, match=r"extractor\.safetensors") as caught:
        extractors.load(tmp_path, DataSpec((1, 28, 28), "grid"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_one_line_wherever_they_are_read(file, tmp_path, value):
    settings = FeaturesParams(
        extractor="inception", epochs=1, width=8, dimensions=8, weights=str(tmp_path / "own.pth"), precision="float32"
    )
    changed = dict(weights.read(file))
    changed["fc.bias"] = changed["fc.bias"] + value
    torch.save(changed, tmp_path / "own.pth")
    data = PreparedData(tmp_path, {"content": "image", "settings": {"side": 16, "channels": 1}, "learnt": {}})
    with pytest.raises(SourceError, match=r"own\.pth.*fc\.bias has values that are not finite"):
        Inception.make(data, settings, 0)
    base.write(tmp_path, "inception", {"precision": "float32"}, changed)
    with pytest.raises(ArtifactError, match=r"extractor\.safetensors.*fc\.bias has values that are not finite"):
        extractors.load(tmp_path, data.spec)


def test_the_digest_of_the_published_weights_is_the_one_in_their_name():
    assert weights.SHA256.startswith(weights.NAME.rpartition("-")[2].removesuffix(".pth"))
    assert len(weights.SHA256) == len(hashlib.sha256().hexdigest())
