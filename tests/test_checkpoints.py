import json
import math
import os
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from pipeline.checkpoints import SafetensorsIO

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]
SHAPES = st.lists(st.integers(0, 3), max_size=3)
TENSORS = st.builds(
    lambda shape, dtype, seed: (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 9).to(dtype),
    SHAPES,
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
LEAVES = TENSORS | st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text()
KEYS = st.text() | st.integers() | st.sampled_from(["tensor", "dict", "tuple"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)


def same(a, b):
    """Say whether two trees are equal in values and types, where a NaN equals a NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


@settings(max_examples=100, deadline=None)
@given(tree=st.dictionaries(KEYS, TREES, max_size=4))
def test_a_tree_comes_back_as_it_was_written(tree, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "tree.ckpt"
    SafetensorsIO().save_checkpoint(tree, path)
    assert same(SafetensorsIO().load_checkpoint(path), tree)


def test_tensors_that_share_memory_or_are_not_contiguous_come_back_as_they_were(tmp_path):
    base = torch.arange(24.0).view(1, 2, 3, 4)
    tree = {"whole": base, "part": base[:, :, 1], "turned": base.mT, "last": base.to(memory_format=torch.channels_last)}
    SafetensorsIO().save_checkpoint(tree, tmp_path / "a.ckpt")
    assert same(SafetensorsIO().load_checkpoint(tmp_path / "a.ckpt"), tree)


def test_the_state_of_an_optimiser_can_be_loaded_again(tmp_path):
    weights = [torch.nn.Parameter(torch.randn(3))]
    optimiser = torch.optim.Adam(weights, fused=True)
    weights[0].square().sum().backward()
    optimiser.step()
    SafetensorsIO().save_checkpoint({"optimiser": optimiser.state_dict()}, tmp_path / "a.ckpt")
    loaded = SafetensorsIO().load_checkpoint(tmp_path / "a.ckpt")["optimiser"]
    again = torch.optim.Adam(weights, fused=True)
    again.load_state_dict(loaded)
    assert same(again.state_dict(), optimiser.state_dict())


@pytest.mark.parametrize("thing", [object(), {1, 2}, np.arange(3), b"bytes", torch.nn.Linear(1, 1)])
def test_what_only_a_pickle_could_hold_is_refused_and_leaves_the_old_file(tmp_path, thing):
    path = tmp_path / "a.ckpt"
    SafetensorsIO().save_checkpoint({"step": 1}, path)
    with pytest.raises(TypeError, match="tensors and plain values"):
        SafetensorsIO().save_checkpoint({"step": 2, "deep": [{"thing": thing}]}, path)
    assert SafetensorsIO().load_checkpoint(path) == {"step": 1}


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.ckpt"
    SafetensorsIO().save_checkpoint({"step": 1, "x": torch.ones(3)}, path)

    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        SafetensorsIO().save_checkpoint({"step": 2, "x": torch.zeros(3)}, path)
    assert same(SafetensorsIO().load_checkpoint(path), {"step": 1, "x": torch.ones(3)})


def test_what_a_failed_write_left_does_not_hinder_the_next(tmp_path):
    (tmp_path / ".a.ckpt.tmp").write_bytes(b"half of a file")
    SafetensorsIO().save_checkpoint({"step": 1}, tmp_path / "a.ckpt")
    assert SafetensorsIO().load_checkpoint(tmp_path / "a.ckpt") == {"step": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]


def test_the_file_is_plain_safetensors_and_no_pickle(tmp_path):
    path = tmp_path / "deep" / "a.ckpt"
    SafetensorsIO().save_checkpoint({"x": torch.ones(3), "step": 4}, path)
    with safe_open(path, "pt") as file:
        assert [file.get_tensor(name).tolist() for name in file.keys()] == [[1.0, 1.0, 1.0]]  # noqa: SIM118
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert "x" in json.loads(data[8 : 8 + length])["__metadata__"]["tree"]
    assert len(data) == 8 + length + 3 * 4


def test_a_checkpoint_can_be_removed_twice(tmp_path):
    SafetensorsIO().save_checkpoint({}, tmp_path / "a.ckpt")
    for _ in range(2):
        SafetensorsIO().remove_checkpoint(tmp_path / "a.ckpt")
    assert list(tmp_path.iterdir()) == []
