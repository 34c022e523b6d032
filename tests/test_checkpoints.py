import errno
import json
import math
import multiprocessing
import os
import random
import re
import resource
import struct
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from pipeline import checkpoints
from pipeline.checkpoints import SafetensorsIO, newest, saved, set_aside, steps
from pipeline.errors import TrainingError

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
FORK = multiprocessing.get_context("fork")


def write_to_a_full_disk(folder, said):
    """Try to save more than a file may hold."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        save(folder, 30, x=torch.ones(100_000))
    except TrainingError as error:
        said.send(str(error))


def write_for_ever(folder, done, said):
    """Save after each step, and tell of it."""
    while True:
        done += 1
        save(folder, done, x=torch.full((300_000,), float(done)))
        said.send(done)


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


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "work" / "checkpoints"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A folder with two checkpoints, and the bytes of the newer one."""
    folder = tmp_path_factory.mktemp("pair") / "checkpoints"
    older, newer = (save(folder, done, x=torch.full((5,), float(done))) for done in (10, 20))
    return folder, older, newer, newer.read_bytes()


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
    assert names(folder) == [path.name]
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
    assert names(folder) == []


@given(dones=st.lists(st.integers(0, 10**11), min_size=1, max_size=6, unique=True).map(sorted))
@settings(max_examples=30, deadline=None)
def test_the_newest_two_are_kept_and_the_newest_is_the_one_with_most_steps(tmp_path_factory, dones):
    folder = tmp_path_factory.mktemp("kept")
    for count, done in enumerate(dones, 1):
        path = save(folder, done)
        assert newest(folder) == path
        assert [steps(each) for each in saved(folder)] == dones[:count][-2:][::-1]
    assert len(names(folder)) == min(2, len(dones))


def test_a_folder_without_checkpoints_has_none_whole_and_none_damaged(folder, capsys):
    assert newest(folder) is None
    set_aside(folder)
    assert saved(folder) == []
    assert capsys.readouterr().err == ""


def test_a_whole_newest_checkpoint_is_left_where_it_is(folder, capsys):
    for done in (10, 20):
        save(folder, done)
    before = names(folder)
    set_aside(folder)
    assert names(folder) == before
    assert capsys.readouterr().err == ""


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_newest_checkpoint_with_any_bit_flipped_is_passed_over(pair, data):
    folder, older, newer, whole = pair
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    newer.write_bytes(damaged)
    assert newest(folder) == older
    newer.write_bytes(whole)
    assert newest(folder) == newer


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_newest_checkpoint_of_another_length_is_passed_over(pair, data):
    folder, older, newer, whole = pair
    longer = data.draw(st.binary(min_size=1, max_size=9).map(lambda rest: whole + rest))
    shorter = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for damaged in (longer, shorter, shorter + bytes(len(whole) - len(shorter) + 1)):
        newer.write_bytes(damaged)
        assert newest(folder) == older
    newer.write_bytes(whole)
    assert newest(folder) == newer


def test_what_is_damaged_is_named_and_set_aside_and_the_one_before_it_goes_on(folder, capsys):
    older, newer = (save(folder, done) for done in (10, 20))
    newer.write_bytes(newer.read_bytes()[:-1])
    set_aside(folder)
    said = capsys.readouterr().err
    assert str(newer) in said
    assert "damaged" in said
    assert said.count("\n") == 1
    assert saved(folder) == [older]
    assert names(folder) == [older.name, f"{newer.stem}.damaged"]
    set_aside(folder)
    assert capsys.readouterr().err == ""


def test_a_training_that_goes_on_after_damage_keeps_two_whole_checkpoints(folder):
    older, newer = (save(folder, done) for done in (10, 20))
    newer.write_bytes(b"")
    set_aside(folder)
    assert newest(folder) == older
    for done in (15, 20, 25):
        assert save(folder, done) == newest(folder)
    assert [steps(path) for path in saved(folder)] == [25, 20]


def test_a_damaged_older_checkpoint_hinders_nothing(folder, capsys):
    older, newer = (save(folder, done) for done in (10, 20))
    older.write_bytes(b"")
    set_aside(folder)
    assert newest(folder) == newer
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("count", [1, 2])
def test_a_training_of_which_no_checkpoint_is_whole_never_begins_anew_by_itself(folder, count):
    for path in [save(folder, done) for done in (10, 20)][-count:]:
        path.write_bytes(path.read_bytes() + b"?")
    for path in saved(folder)[count:]:
        path.unlink()
    for look in (newest, set_aside, newest, set_aside, newest):
        with pytest.raises(TrainingError, match=f"none of its {count} checkpoints is whole") as caught:
            look(folder)
        assert str(folder.parent) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_training_whose_checkpoints_were_damaged_one_after_the_other_never_begins_anew_by_itself(folder):
    older, newer = (save(folder, done) for done in (10, 20))
    newer.write_bytes(b"")
    set_aside(folder)
    older.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(TrainingError, match="none of its 1 checkpoints is whole"):
            set_aside(folder)


def test_a_checkpoint_that_another_process_sets_aside_meanwhile_is_passed_over(folder, monkeypatch):
    older, newer = (save(folder, done) for done in (10, 20))
    listed = saved(folder)
    newer.replace(newer.with_suffix(".damaged"))
    monkeypatch.setattr(checkpoints, "saved", lambda _: listed)
    assert newest(folder) == older


def refused(folder, done=30):
    """Return the one line that a checkpoint is refused with."""
    with pytest.raises(TrainingError) as caught:
        save(folder, done, x=torch.ones(3))
    assert "\n" not in str(caught.value)
    assert f"the checkpoint of step {done} cannot be written" in str(caught.value)
    return str(caught.value)


def test_a_full_disk_is_one_line_and_leaves_the_old_checkpoints_whole(folder):
    before = [save(folder, done).name for done in (10, 20)]
    (folder / ".writing").symlink_to("/dev/full")
    assert os.strerror(errno.ENOSPC) in refused(folder)
    assert names(folder) == before
    assert steps(newest(folder)) == 20
    assert save(folder, 20) == newest(folder)
    assert save(folder, 30) == newest(folder)


def test_a_disk_that_fills_up_in_the_middle_is_one_line_and_leaves_the_old_checkpoints_whole(folder):
    before = [save(folder, done).name for done in (10, 20)]
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=write_to_a_full_disk, args=(folder, theirs))
    process.start()
    process.join(60)
    assert re.match(r".*the checkpoint of step 30 cannot be written \(File too large\)[^\n]*$", ours.recv())
    assert names(folder) == before
    assert steps(newest(folder)) == 20


def test_a_folder_that_is_a_file_is_one_line(folder):
    folder.parent.mkdir()
    folder.write_text("in the way")
    assert str(folder) in refused(folder)
    assert folder.read_text() == "in the way"


def test_a_folder_below_a_file_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "checkpoints")


def test_what_a_killed_write_left_does_not_hinder_the_next(folder):
    save(folder, 10)
    (folder / ".writing").write_bytes(b"half of a file, longer than the next one" * 1000)
    assert save(folder, 20) == newest(folder)
    assert len(names(folder)) == 2


def test_a_checkpoint_that_was_written_is_whole_whenever_the_process_is_killed(folder):
    rng, done = random.Random(0), 0
    for _ in range(8):
        ours, theirs = FORK.Pipe(duplex=False)
        process = FORK.Process(target=write_for_ever, args=(folder, done, theirs))
        process.start()
        theirs.close()
        for _ in range(rng.randrange(1, 8)):
            done = ours.recv()
        time.sleep(rng.random() * 0.01)
        process.kill()
        process.join()
        while ours.poll():
            try:
                done = ours.recv()
            except EOFError:
                break
        found = newest(folder)
        assert steps(found) >= done
        done = load(found)["done"]
        assert done == steps(found)
        assert torch.equal(load(found)["x"], torch.full((300_000,), float(done)))
    assert {path.suffix for path in folder.iterdir()} <= {".ckpt", ""}
    assert len(saved(folder)) <= 3
