import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contents.base import DataSpec
from pipeline.data.batches import Batches, scaled

PROMPT = settings(max_examples=50, deadline=None)
SIZES = {"n": st.integers(1, 60), "batch_size": st.integers(1, 70), "seed": st.integers(0, 99)}


def numbered(n):
    return np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)


def shares(n, batch_size, seed, done, rank=0, size=1):
    """Return the shares of an epoch that one of several processes gets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dist, "is_initialized", lambda: size > 1)
        patch.setattr(dist, "get_rank", lambda: rank)
        patch.setattr(dist, "get_world_size", lambda: size)
        return list(Batches(numbered(n), batch_size, seed, lambda: done))


def numbers(share):
    return share.items.flatten().tolist()


def epoch(n, batch_size, seed, done):
    return [numbers(share) for share in shares(n, batch_size, seed, done)]


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


def test_a_process_by_itself_has_the_whole_batch():
    found = shares(20, 8, 0, 0)
    assert [(share.first, share.own, share.whole) for share in found] == [(0, 8, 8), (0, 8, 8), (0, 4, 4)]


@PROMPT
@given(size=st.integers(2, 9), number=st.integers(0, 3), **SIZES)
def test_the_shares_of_several_processes_make_up_the_batches_of_one(n, batch_size, seed, size, number):
    alone = epoch(n, batch_size, seed, number)
    members = [shares(n, batch_size, seed, number, rank, size) for rank in range(size)]
    assert {len(member) for member in members} == {len(alone)}
    for step, batch in enumerate(alone):
        parts = [member[step] for member in members]
        assert [item for part in parts for item in numbers(part)[: part.own]] == batch
        assert {part.whole for part in parts} == {len(batch)}
        for part in parts:
            assert part.first + part.own <= part.whole
            assert batch[part.first : part.first + len(part.items)] == numbers(part)


@PROMPT
@given(size=st.integers(2, 9), **SIZES)
def test_no_process_has_more_than_one_item_more_than_another(n, batch_size, seed, size):
    members = [shares(n, batch_size, seed, 0, rank, size) for rank in range(size)]
    for parts in zip(*members, strict=True):
        own = [part.own for part in parts]
        assert max(own) - min(own) <= 1


@PROMPT
@given(size=st.integers(2, 9), **SIZES)
def test_a_process_without_items_takes_part_with_one_that_does_not_count(n, batch_size, seed, size):
    for rank in range(size):
        for share in shares(n, batch_size, seed, 0, rank, size):
            assert len(share.items) == max(1, share.own)
            assert share.first + len(share.items) <= share.whole


def test_a_batch_smaller_than_the_number_of_processes_leaves_some_with_none():
    assert sorted(shares(2, 2, 0, 0, rank, 3)[0].own for rank in range(3)) == [0, 1, 1]


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [epoch(50, 5, seed, done) for seed in (0, 1) for done in (0, 10)]
    assert len({str(order) for order in orders}) == 4


def test_the_count_of_steps_is_asked_when_an_epoch_begins():
    done = 0
    batches = Batches(numbered(20), 5, 0, lambda: done)
    first = [numbers(share) for share in batches]
    done = 4
    assert [numbers(share) for share in batches] != first


def test_batches_of_a_memory_mapped_array_can_be_written_to(tmp_path):
    np.save(tmp_path / "a.npy", numbered(20))
    array = np.load(tmp_path / "a.npy", mmap_mode="r")
    items = next(iter(Batches(array, 5, 0, lambda: 0))).items
    items += 1
    assert items.dtype == torch.uint8
    assert array.flatten().tolist() == list(range(20))


@pytest.mark.parametrize("size", [1, 3])
def test_labels_stay_with_their_items_and_are_minus_one_where_there_are_none(monkeypatch, size):
    monkeypatch.setattr(dist, "is_initialized", lambda: size > 1)
    monkeypatch.setattr(dist, "get_world_size", lambda: size)
    for rank in range(size):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        labelled = Batches(numbered(20), 6, 0, lambda: 0, np.arange(20, dtype=np.int32) % 7)
        for share in labelled:
            assert share.labels.dtype == torch.int64
            assert share.labels.tolist() == [item % 7 for item in numbers(share)]
        assert {label for share in Batches(numbered(20), 6, 0, lambda: 0) for label in share.labels.tolist()} == {-1}


@pytest.mark.parametrize("n", [0, 1, 500, 1201])
def test_scaled_gives_every_item_in_order_between_minus_one_and_one(n):
    spec = DataSpec((1, 2, 2), "grid")
    array = np.random.default_rng(0).integers(0, 256, (n, 1, 2, 2), np.uint8)
    parts = list(scaled(array, spec))
    found = torch.cat(parts) if parts else torch.empty(0, 1, 2, 2)
    np.testing.assert_allclose(found.numpy(), array / 127.5 - 1, atol=1e-6)
    np.testing.assert_array_equal(spec.quantise(found), array)
