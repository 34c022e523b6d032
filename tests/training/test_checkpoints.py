"""Files of checkpoints through corruption, kills and full disks."""

import errno
import multiprocessing
import os
import random
import re
import resource
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.system.errors import TrainingError
from pipeline.training import checkpoints
from pipeline.training.checkpoints import add, newest, saved, set_aside, steps

FORK = multiprocessing.get_context("fork")


def write_to_a_full_disk(folder, said):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        save(folder, 30, bytes(400_000))
    except TrainingError as error:
        said.send(str(error))


def write_for_ever(folder, done, said):
    while True:
        done += 1
        save(folder, done, content(done))
        said.send(done)


def content(done):
    return done.to_bytes(8, "big") * 150_000


def save(folder, done, data=b"some bytes"):
    """Add a checkpoint and return its file."""
    add(folder, done, data)
    return next(path for path in saved(folder) if steps(path) == done)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "work" / "checkpoints"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A folder with two checkpoints, and the bytes of the newer one."""
    folder = tmp_path_factory.mktemp("pair") / "checkpoints"
    older, newer = (save(folder, done, b"%d bytes of a checkpoint" % done) for done in (10, 20))
    return folder, older, newer, newer.read_bytes()


@given(dones=st.lists(st.integers(0, 10**11), min_size=1, max_size=6, unique=True).map(sorted))
@settings(max_examples=30, deadline=None)
def test_the_newest_two_are_kept_and_the_newest_is_the_one_with_most_steps(tmp_path_factory, dones):
    folder = tmp_path_factory.mktemp("kept")
    for count, done in enumerate(dones, 1):
        path = save(folder, done)
        assert newest(folder) == path
        assert [steps(each) for each in saved(folder)] == dones[:count][-2:][::-1]
    assert len(names(folder)) == min(2, len(dones))


def test_a_folder_without_checkpoints_has_none_whole_and_none_corrupt(folder, capsys):
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
    corrupt = bytearray(whole)
    corrupt[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    newer.write_bytes(corrupt)
    assert newest(folder) == older
    newer.write_bytes(whole)
    assert newest(folder) == newer


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_newest_checkpoint_of_another_length_is_passed_over(pair, data):
    folder, older, newer, whole = pair
    longer = data.draw(st.binary(min_size=1, max_size=9).map(lambda rest: whole + rest))
    shorter = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for corrupt in (longer, shorter, shorter + bytes(len(whole) - len(shorter) + 1)):
        newer.write_bytes(corrupt)
        assert newest(folder) == older
    newer.write_bytes(whole)
    assert newest(folder) == newer


def test_what_is_corrupt_is_named_and_set_aside_and_the_one_before_it_goes_on(folder, capsys):
    older, newer = (save(folder, done) for done in (10, 20))
    newer.write_bytes(newer.read_bytes()[:-1])
    set_aside(folder)
    said = capsys.readouterr().err
    assert str(newer) in said
    assert "corrupt" in said
    assert said.count("\n") == 1
    assert saved(folder) == [older]
    assert names(folder) == [older.name, f"{newer.stem}.corrupt"]
    set_aside(folder)
    assert capsys.readouterr().err == ""


def test_a_training_that_goes_on_after_corruption_keeps_two_whole_checkpoints(folder):
    older, newer = (save(folder, done) for done in (10, 20))
    newer.write_bytes(b"")
    set_aside(folder)
    assert newest(folder) == older
    for done in (15, 20, 25):
        assert save(folder, done) == newest(folder)
    assert [steps(path) for path in saved(folder)] == [25, 20]


def test_a_corrupt_older_checkpoint_hinders_nothing(folder, capsys):
    older, newer = (save(folder, done) for done in (10, 20))
    older.write_bytes(b"")
    set_aside(folder)
    assert newest(folder) == newer
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("count", [1, 2])
def test_a_training_of_which_no_checkpoint_is_whole_never_starts_from_scratch_by_itself(folder, count):
    for path in [save(folder, done) for done in (10, 20)][-count:]:
        path.write_bytes(path.read_bytes() + b"?")
    for path in saved(folder)[count:]:
        path.unlink()
    for look in (newest, set_aside, newest, set_aside, newest):
        with pytest.raises(TrainingError, match=f"none of its {count} checkpoints is whole") as caught:
            look(folder)
        assert str(folder.parent) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_training_whose_checkpoints_were_corrupt_one_after_the_other_never_starts_from_scratch_by_itself(folder):
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
    newer.replace(newer.with_suffix(".corrupt"))
    monkeypatch.setattr(checkpoints, "saved", lambda _: listed)
    assert newest(folder) == older


def refused(folder, done=30):
    """Return the one line that a checkpoint is refused with."""
    with pytest.raises(TrainingError) as caught:
        save(folder, done)
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
        done = steps(found)
        assert found.read_bytes() == content(done)
    assert {path.suffix for path in folder.iterdir()} <= {".ckpt", ""}
    assert len(saved(folder)) <= 3
