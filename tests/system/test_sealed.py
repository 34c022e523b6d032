import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from pipeline.system import sealed
from pipeline.system.errors import ArtifactError

ARRAYS = {"a": np.arange(6, dtype=np.int64).reshape(2, 3), "b": np.array([0.5], np.float32)}
ABOUT = {"protocol": {"seed": 0}, "scores": {"fid": 1.5}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("sealed") / "whole"
    sealed.write(path, ARRAYS, ABOUT)
    return path.read_bytes()


def refused(path, data):
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"dvc repro") as caught:
        sealed.read(path, Any)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@settings(max_examples=20, deadline=None)
@given(
    names=st.lists(st.text(max_size=5), unique=True, max_size=3),
    dtype=st.sampled_from([np.uint8, np.int32, np.int64, np.float32, np.float64]),
    shape=st.lists(st.integers(0, 3), max_size=3),
    about=st.none() | st.dictionaries(st.text(), st.floats(allow_nan=False) | st.text() | st.lists(st.integers())),
)
def test_what_is_read_is_what_was_written(tmp_path_factory, names, dtype, shape, about):
    path = tmp_path_factory.mktemp("sealed") / "file"
    arrays = {name: np.full(shape, i, dtype) for i, name in enumerate(names) if name != "__metadata__"}
    sealed.write(path, arrays, about)
    found, values = sealed.read(path, Any)
    assert values == about
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == dtype
        np.testing.assert_array_equal(found[name], array)


def test_the_bytes_depend_on_the_content_alone(data, tmp_path):
    for name in ("a", "b"):
        sealed.write(tmp_path / name, dict(reversed(ARRAYS.items())), dict(reversed(ABOUT.items())))
        assert (tmp_path / name).read_bytes() == data


def test_every_changed_bit_is_noticed(data, tmp_path):
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        refused(tmp_path / "file", changed)


@pytest.mark.parametrize("size", [0, 7, 8, 100, -1])
def test_a_truncated_file_is_one_line(data, tmp_path, size):
    refused(tmp_path / "file", data[:size])


@pytest.mark.parametrize(
    "seal",
    [None, {"other": "entry"}, {"seal": ""}, {"seal": "[]"}, {"seal": json.dumps({"about": 1, "sha256": ""})}],
)
def test_a_file_without_its_digest_is_one_line(tmp_path, seal):
    assert "cannot be read" in refused(tmp_path / "file", save(ARRAYS, seal))


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ArtifactError, match="cannot be read"):
        sealed.read(tmp_path / "file", Any)
