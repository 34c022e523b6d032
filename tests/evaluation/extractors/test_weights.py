import hashlib
import pickle
import socket

import pytest
import torch

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import Inception
from pipeline.params import FeaturesParams
from pipeline.system.errors import SourceError

TENSORS = {"a": torch.arange(3.0)}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of torch.hub's cache, which does not exist yet."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home/hub/checkpoints"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").mkdir()
    return tmp_path / "weights"


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Return a file that stands in for the published one, at the URL of the latter."""
    path = tmp_path / "published.pth"
    torch.save(TENSORS, path)
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(weights, "URL", path.as_uri())
    return path


def refused(place):
    with pytest.raises(SourceError) as caught:
        weights.read(place)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_published_weights_are_downloaded_once(published, folder, cache):
    assert weights.read(folder).keys() == TENSORS.keys()
    published.unlink()
    assert weights.read(folder).keys() == TENSORS.keys()
    assert [path.name for path in cache.iterdir()] == [weights.NAME]
    assert list(folder.iterdir()) == []


def test_weights_in_the_folder_need_no_download(published, folder, cache, no_network):
    published.rename(folder / weights.NAME)
    assert weights.read(folder).keys() == TENSORS.keys()
    assert not cache.exists()


def test_offline_the_error_is_one_line_that_names_the_file_and_its_folder(folder, cache, no_network):
    timeout = socket.getdefaulttimeout()
    said = refused(folder)
    for part in ("features.extractor is inception", str(folder), f"put {weights.NAME} there", "unreachable"):
        assert part in said
    assert socket.getdefaulttimeout() == timeout
    assert list(cache.iterdir()) == []


def test_a_download_of_other_bytes_is_refused_and_not_kept(published, folder, cache):
    published.write_bytes(published.read_bytes() + b"?")
    assert "invalid hash value" in refused(folder)
    assert list(cache.iterdir()) == []


def test_corrupt_published_weights_are_refused_wherever_they_lie(published, folder, cache):
    for place in (cache, folder):
        place.mkdir(parents=True, exist_ok=True)
        (place / weights.NAME).write_bytes(published.read_bytes() + b"?")
        assert f"{place / weights.NAME}: corrupt" in refused(folder)


def test_a_file_of_the_user_is_not_verified_by_digest(tmp_path):
    torch.save(TENSORS, tmp_path / "own.pth")
    assert torch.equal(weights.read(tmp_path / "own.pth")["a"], TENSORS["a"])


@pytest.mark.parametrize("data", [None, b"", b"no weights", pickle.dumps(print)])
def test_a_file_that_holds_no_weights_is_one_line_and_nothing_in_it_is_run(tmp_path, data):
    path = tmp_path / "own.pth"
    if data is not None:
        path.write_bytes(data)
    assert str(path) in refused(path)


@pytest.mark.parametrize("content", [TENSORS, [1]])
def test_weights_of_another_network_are_one_line_that_names_them(toy, tmp_path, content):
    torch.save(content, tmp_path / "own.pth")
    settings = FeaturesParams(
        extractor="inception", epochs=1, width=8, dimensions=8, weights=str(tmp_path / "own.pth"), precision="float32"
    )
    data = PreparedData(tmp_path, {"content": "image", "settings": {"side": 16, "channels": 1}, "learnt": {}})
    with pytest.raises(SourceError, match=r"features\.weights is .*own\.pth, not the weights") as caught:
        Inception.make(data, settings, 0)
    assert "\n" not in str(caught.value)


def test_data_that_are_no_images_are_refused_before_weights_are_looked_for(words, tmp_path):
    settings = FeaturesParams(
        extractor="inception", epochs=1, width=8, dimensions=8, weights=str(tmp_path / "none.pth"), precision="float32"
    )
    about = {"content": "text", "settings": words.about("vae").content_settings, "learnt": {}}
    with pytest.raises(SourceError, match=r"takes images, not text; set it to in_domain"):
        Inception.make(PreparedData(tmp_path, about), settings, 0)
