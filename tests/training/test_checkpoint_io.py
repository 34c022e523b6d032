"""Trees of tensors and plain values that come back from files as they were."""

import json
import math
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from pipeline.training.checkpoint_io import SafetensorsIO
from pipeline.training.checkpoints import saved, steps

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


def save(folder, done, **tree):
    """Add a checkpoint and return its file."""
    SafetensorsIO().save_checkpoint({"done": done, **tree}, folder)
    return next(path for path in saved(folder) if steps(path) == done)


def load(path):
    return SafetensorsIO().load_checkpoint(path)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "work" / "checkpoints"


@settings(max_examples=100, deadline=None)
@given(tree=st.dictionaries(KEYS, TREES, max_size=4))
def test_a_tree_comes_back_as_it_was_written(tree, tmp_path_factory):
    path = save(tmp_path_factory.mktemp("tree"), 3, tree=tree)
    assert same(load(path), {"done": 3, "tree": tree})


def test_tensors_that_share_memory_or_are_not_contiguous_come_back_as_they_were(folder):
    base = torch.arange(24.0).view(1, 2, 3, 4)
    tree = {"whole": base, "part": base[:, :, 1], "turned": base.mT, "last": base.to(memory_format=torch.channels_last)}
    assert same(load(save(folder, 1, tree=tree))["tree"], tree)


def test_the_state_of_an_optimiser_can_be_loaded_again(folder):
    weights = [torch.nn.Parameter(torch.randn(3))]
    optimiser = torch.optim.Adam(weights, fused=True)
    weights[0].square().sum().backward()
    optimiser.step()
    loaded = load(save(folder, 1, optimiser=optimiser.state_dict()))["optimiser"]
    again = torch.optim.Adam(weights, fused=True)
    again.load_state_dict(loaded)
    assert same(again.state_dict(), optimiser.state_dict())


@pytest.mark.parametrize("thing", [object(), {1, 2}, np.arange(3), b"bytes", torch.nn.Linear(1, 1)])
def test_what_only_a_pickle_could_hold_is_refused_and_leaves_the_checkpoints_as_they_were(folder, thing):
    path = save(folder, 1)
    with pytest.raises(TypeError, match="tensors and plain values"):
        save(folder, 2, deep=[{"thing": thing}])
    assert list(folder.iterdir()) == [path]
    assert load(path) == {"done": 1}


def test_the_file_is_plain_safetensors_and_no_pickle(folder):
    path = save(folder, 4, x=torch.ones(3))
    with safe_open(path, "pt") as file:
        assert [file.get_tensor(name).tolist() for name in file.keys()] == [[1.0, 1.0, 1.0]]  # noqa: SIM118
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert "x" in json.loads(data[8 : 8 + length])["__metadata__"]["tree"]
    assert len(data) == 8 + length + 3 * 4


def test_a_checkpoint_can_be_removed_twice(folder):
    path = save(folder, 1)
    for _ in range(2):
        SafetensorsIO().remove_checkpoint(path)
    assert list(folder.iterdir()) == []
