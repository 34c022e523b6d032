import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batches import Batches, scaled
from pipeline.contents.base import DataSpec

PROMPT = settings(max_examples=50, deadline=None)
SIZES = {"n": st.integers(1, 60), "batch_size": st.integers(1, 70), "seed": st.integers(0, 99)}


def numbered(n):
    return np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)


def epoch(n, batch_size, seed, done):
    return [batch.flatten().tolist() for batch in Batches(numbered(n), batch_size, seed, lambda: done)]


@PROMPT
@given(number=st.integers(0, 5), **SIZES)
def test_an_epoch_has_every_item_once_in_whole_batches_and_a_rest(n, batch_size, seed, number):
    length = len(Batches(numbered(n), batch_size, seed, lambda: 0))
    found = epoch(n, batch_size, seed, number * length)
    assert sorted(item for batch in found for item in batch) == list(range(n))
    assert len(found) == length
    assert {len(batch) for batch in found[:-1]} <= {batch_size}
    assert 1 <= len(found[-1]) <= batch_size


@PROMPT
@given(data=st.data(), **SIZES)
def test_starting_within_an_epoch_gives_the_batches_that_remain(n, batch_size, seed, data):
    length = len(Batches(numbered(n), batch_size, seed, lambda: 0))
    number, first = data.draw(st.integers(0, 3)), data.draw(st.integers(0, length - 1))
    whole = epoch(n, batch_size, seed, number * length)
    assert epoch(n, batch_size, seed, number * length + first) == whole[first:]


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [epoch(50, 5, seed, done) for seed in (0, 1) for done in (0, 10)]
    assert len({str(order) for order in orders}) == 4


def test_the_count_of_steps_is_asked_when_an_epoch_begins():
    done = 0
    batches = Batches(numbered(20), 5, 0, lambda: done)
    first = [batch.tolist() for batch in batches]
    done = 4
    assert [batch.tolist() for batch in batches] != first


def test_batches_of_a_memory_mapped_array_can_be_written_to(tmp_path):
    np.save(tmp_path / "a.npy", numbered(20))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    batch = next(iter(Batches(array, 5, 0, lambda: 0)))
    batch += 1
    assert batch.dtype == torch.uint8
    assert array.flatten().tolist() == list(range(20))


@pytest.mark.parametrize("n", [0, 1, 500, 1201])
def test_scaled_gives_every_item_in_order_between_minus_one_and_one(n):
    spec = DataSpec((1, 2, 2), "grid")
    array = np.random.default_rng(0).integers(0, 256, (n, 1, 2, 2), np.uint8)
    parts = list(scaled(array, spec))
    found = torch.cat(parts) if parts else torch.empty(0, 1, 2, 2)
    np.testing.assert_allclose(found.numpy(), array / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(spec.quantise(found), array)
