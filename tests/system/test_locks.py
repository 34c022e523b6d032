"""Locks, held and lost by real processes."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from pipeline.system.locks import Taken, holder, locked

HOLD = """
import sys, time
from pathlib import Path
from pipeline.system.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
LOOK = """
import sys
from pathlib import Path
from pipeline.system.locks import holder
print("looking", flush=True)
while True:
    holder(Path(sys.argv[1]))
"""
TAKE_AND_REMOVE = """
import os, shutil, sys
from pathlib import Path
from pipeline.system.locks import Taken, locked
lock, inside, done = Path(sys.argv[1]), Path(sys.argv[2]), 0
while done < 60:
    try:
        with locked(lock):
            inside.mkdir()  # fails where another is inside
            inside.rmdir()
            shutil.rmtree(lock.parent, ignore_errors=True)
            done += 1
    except Taken:
        pass
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "work" / "lock"


@pytest.fixture
def held(lock):
    """A lock, and the process that holds it."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield lock, process
        process.kill()


def test_a_lock_that_another_process_holds_is_refused_with_that_process(held):
    lock, process = held
    with pytest.raises(Taken) as caught, locked(lock):
        pytest.fail("two hold one lock")
    assert caught.value.holder.pid == process.pid
    assert caught.value.holder.alive
    assert caught.value.holder.here
    assert f"process {process.pid} on " in str(caught.value)


def test_a_refused_process_leaves_the_name_of_the_holder(held):
    lock, process = held
    for _ in range(2):
        with pytest.raises(Taken, match=f"process {process.pid} "), locked(lock):
            pass
    assert holder(lock).pid == process.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_lock_ends_with_its_holder_however_that_ends(held, number):
    lock, process = held
    process.send_signal(number)
    process.wait()
    assert holder(lock) is None
    with locked(lock):
        assert holder(lock).pid == os.getpid()


def test_a_lock_ends_with_its_block_also_where_that_fails(lock):
    with pytest.raises(ZeroDivisionError), locked(lock):
        _ = 1 / 0
    assert holder(lock) is None
    with locked(lock):
        pass


def test_one_process_cannot_hold_a_lock_twice(lock):
    with locked(lock), pytest.raises(Taken, match=f"process {os.getpid()} "), locked(lock):
        pytest.fail("held twice")


def test_a_lock_names_its_newest_holder_alone(held):
    lock, process = held
    process.kill()
    process.wait()
    lock.write_text(lock.read_text() + " " * 1000)
    with locked(lock):
        assert json.loads(lock.read_text())["pid"] == os.getpid()


def test_a_lock_that_does_not_exist_has_no_holder_and_is_not_made(lock):
    assert holder(lock) is None
    assert not lock.parent.exists()


def test_looking_for_the_holder_does_not_take_the_lock(lock):
    lock.parent.mkdir()
    lock.touch()
    assert holder(lock) is None
    with locked(lock):
        pass


def test_looking_for_the_holder_hinders_nobody_who_takes_the_lock(lock):
    words = [sys.executable, "-c", LOOK, str(lock)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "looking\n"
            for _ in range(2000):
                with locked(lock):
                    pass
        finally:
            other.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null", "[" * 100_000])
def test_a_holder_that_has_not_named_itself_yet_is_an_unknown_one(held, text):
    lock, _ = held
    lock.write_text(text)
    found = holder(lock)
    assert found is not None
    assert not found.alive


def test_a_lock_whose_folder_was_removed_is_not_shared_by_a_holder_and_a_newcomer(lock):
    with locked(lock):
        shutil.rmtree(lock.parent)
        # from now on the new file at the same path is the lock
        with locked(lock), pytest.raises(Taken), locked(lock):
            pytest.fail("two hold one lock")


def test_a_lock_that_is_removed_as_it_is_taken_is_taken_again(lock, monkeypatch):
    flock, removed = fcntl.flock, []

    def flock_after_a_removal(file, how):
        if not removed:
            removed.append(shutil.rmtree(lock.parent))
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", flock_after_a_removal)
    with locked(lock):
        assert holder(lock).pid == os.getpid()
        with pytest.raises(Taken), locked(lock):
            pytest.fail("two hold one lock")


def test_of_processes_that_take_and_remove_one_lock_only_one_is_ever_inside(lock, tmp_path):
    words = [sys.executable, "-c", TAKE_AND_REMOVE, str(lock), str(tmp_path / "inside")]
    members = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [member.communicate(timeout=60)[1] for member in members]
    assert [member.returncode for member in members] == [0] * 3, said
