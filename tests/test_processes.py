"""Locks, parents and leaders, with real processes and real signals."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from pipeline.errors import TrainingError
from pipeline.processes import Process, Taken, follow, holder, launch, leads, locked, run_stage, together

HOLD = """
import sys, time
from pathlib import Path
from pipeline.processes import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
LOOK = """
import sys
from pathlib import Path
from pipeline.processes import holder
print("looking", flush=True)
while True:
    holder(Path(sys.argv[1]))
"""
TAKE_AND_REMOVE = """
import os, shutil, sys
from pathlib import Path
from pipeline.processes import Taken, locked
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
PARENT = """
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
signal.pause()
"""
STAGE = """
import signal, sys, time
from pipeline import processes
processes.LOOK, processes.GRACE = 0.05, {grace}
{before}
def main():
    print("ready", flush=True)
    try:
        time.sleep({seconds})
        print("slept", flush=True)
    finally:
        print("ended in good order", flush=True)
processes.run_stage(main)
"""
LOSE = """
import os, sys
from datetime import timedelta
import torch
import torch.distributed as dist
from pipeline.errors import TrainingError
from pipeline.processes import together
dist.init_process_group(
    "gloo", init_method="file://{store}", rank=int(sys.argv[1]), world_size=2, timeout=timedelta(seconds=60)
)
dist.all_reduce(torch.ones(1))
print("met", flush=True)
try:
    with together():
        while True:
            dist.all_reduce(torch.ones(1))
except TrainingError as error:
    print(error, flush=True)
os._exit(0)
"""
LAUNCH = """
import os, sys, time
from pathlib import Path
from pipeline import processes
processes.GRACE = 0.3
def main():
    processes.launch(int(sys.argv[2]), 1)
    folder, rank = Path(sys.argv[1]), os.environ.get("LOCAL_RANK", "none")
    (folder / rank).write_text(f"{processes.leads()} {sys.argv[2]} {os.environ.get('WORLD_SIZE')}")
    if rank != "0" and sys.argv[3] == "fail":
        sys.exit(3)
    while len(list(folder.iterdir())) < int(sys.argv[2]) or sys.argv[3] == "fail":
        time.sleep(0.02)
processes.run_stage(main)
"""
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "SLURM_"))}
LAUNCHERS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")


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


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_holder_that_has_not_named_itself_yet_is_an_unknown_one(held, text):
    lock, _ = held
    lock.write_text(text)
    found = holder(lock)
    assert found is not None
    assert not found.alive


def test_a_lock_whose_folder_was_removed_is_not_shared_by_a_holder_and_a_newcomer(lock):
    with locked(lock):
        shutil.rmtree(lock.parent)
        # another lock, at the same path, is the one that counts from now on
        with locked(lock), pytest.raises(Taken), locked(lock):
            pytest.fail("two hold one lock")


def test_a_lock_that_is_removed_as_it_is_taken_is_taken_anew(lock, monkeypatch):
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


def test_this_process_lives_and_is_here():
    this = Process.this()
    assert this.pid == os.getpid()
    assert this.alive
    assert this.here


def test_a_process_of_another_machine_is_not_here():
    assert not replace(Process.this(), host="elsewhere").here


def test_a_process_that_ended_does_not_live():
    with subprocess.Popen(["sleep", "60"]) as child:
        process = Process(Process.this().host, child.pid, psutil.Process(child.pid).create_time())
        assert process.alive
        child.kill()
    assert not process.alive


def test_a_zombie_does_not_live():
    child = subprocess.Popen(["sleep", "60"])
    process = Process(Process.this().host, child.pid, psutil.Process(child.pid).create_time())
    child.kill()
    deadline = time.monotonic() + 30
    while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not process.alive
    child.wait()


def test_a_later_process_with_the_same_number_is_another():
    assert not replace(Process.this(), started=Process.this().started - 100).alive
    assert not replace(Process.this(), started=Process.this().started + 100).alive


def test_a_process_is_said_as_a_person_looks_for_it():
    assert str(Process("here", 12, 1.0)) == "process 12 on here"


@pytest.mark.parametrize(
    ("told", "lead"),
    [
        ({}, True),
        # torchrun
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "1", "LOCAL_RANK": "1"}, False),
        ({"RANK": "2", "LOCAL_RANK": "0", "GROUP_RANK": "1"}, False),
        # SLURM
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, True),
        ({"SLURM_PROCID": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, False),
        # Lightning
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"NODE_RANK": "1"}, False),
        # Lightning, within one task of a SLURM job
        ({"SLURM_PROCID": "0", "LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
    ],
)
def test_one_process_of_a_training_leads_whoever_launched_it(monkeypatch, told, lead):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    assert leads() is lead


@pytest.fixture
def orphan():
    """Start a process that starts a stage, and return it once the stage is ready."""
    parents = []

    def begin(env, grace=20.0, before="", seconds=60.0):
        code = STAGE.format(grace=grace, before=before, seconds=seconds)
        words = [sys.executable, "-c", PARENT, code]
        parent = subprocess.Popen(words, stdout=subprocess.PIPE, env=ENV | env, text=True)
        parents.append(parent)
        assert parent.stdout.readline() == "ready\n"
        return parent

    yield begin
    for parent in parents:
        parent.kill()
        parent.communicate()


@pytest.mark.parametrize("env", [{"DVC_STAGE": "train"}, {"LOCAL_RANK": "1"}, {"RANK": "1"}])
def test_a_stage_whose_parent_was_killed_ends_in_good_order(orphan, env):
    parent = orphan(env)
    parent.kill()
    assert parent.stdout.read() == "ended in good order\n"  # what is said until the stage has ended as well


def test_a_stage_whose_parent_lives_goes_on(orphan):
    parent = orphan({"DVC_STAGE": "train"}, seconds=0.5)
    assert parent.stdout.readline() == "slept\n"


def test_an_orphan_that_does_not_end_in_good_order_is_killed(orphan):
    deaf = "set_handler = signal.signal\nsignal.signal = lambda number, _: set_handler(number, signal.SIG_IGN)"
    parent = orphan({"DVC_STAGE": "train"}, 0.2, deaf)
    parent.kill()
    assert parent.stdout.read() == ""


def test_a_stage_that_a_person_began_outlives_the_shell(orphan):
    parent = orphan({}, seconds=1.0)
    parent.kill()
    assert parent.stdout.read() == "slept\nended in good order\n"


def test_a_stage_ends_as_any_command(monkeypatch, capsys):
    monkeypatch.delenv("DVC_STAGE", raising=False)

    def main():
        raise TrainingError("params.yaml: lower it")

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with pytest.raises(SystemExit) as caught:
            run_stage(main)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: params.yaml: lower it\n"


def fail(error):
    def play():
        raise error

    return play


def test_a_process_that_follows_says_nothing_of_what_the_leader_says(capsys):
    with pytest.raises(SystemExit) as caught:
        follow(fail(TrainingError("the loss is nan")))
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "")


def test_a_mistake_of_ours_keeps_its_traceback_in_a_process_that_follows():
    with pytest.raises(RuntimeError, match="shapes differ"):
        follow(fail(RuntimeError("shapes differ")))


def test_a_process_that_follows_to_the_end_goes_on():
    played = []
    follow(lambda: played.append(1))
    assert played == [1]


def test_what_is_said_of_a_process_that_is_gone_is_one_line(tmp_path):
    code = LOSE.format(store=tmp_path / "store")
    words = [sys.executable, "-c", code]
    other = subprocess.Popen([*words, "1"], stdout=subprocess.PIPE, text=True)
    this = subprocess.Popen([*words, "0"], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == this.stdout.readline() == "met\n"
    other.kill()
    said = this.communicate(timeout=60)[0].strip()
    other.communicate()
    assert this.returncode == 0
    assert "another process of this training ended" in said
    assert "\n" not in said


def test_another_error_is_not_taken_for_a_process_that_is_gone():
    with pytest.raises(RuntimeError, match="shapes differ"), together():
        raise RuntimeError("shapes differ")


def launched(tmp_path, devices, how, **told):
    """Run a program that launches others, and return how it ended and what each process said of itself."""
    program, folder = tmp_path / "program.py", tmp_path / "said"
    program.write_text(LAUNCH)
    folder.mkdir()
    env = {name: value for name, value in ENV.items() if name not in LAUNCHERS} | told
    words = [sys.executable, str(program), str(folder), str(devices), how]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False)
    return done, {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.slow
def test_processes_that_are_launched_run_the_same_program_and_know_which_they_are(tmp_path):
    done, said = launched(tmp_path, 3, "well")
    assert done.returncode == 0, done.stderr
    assert said == {"0": "True 3 3", "1": "False 3 3", "2": "False 3 3"}


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        (1, {}),
        (2, {"RANK": "0", "LOCAL_RANK": "0"}),
        (2, {"LOCAL_RANK": "1"}),
        (2, {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "train"}),
    ],
)
def test_nothing_is_launched_where_one_is_enough_or_another_launcher_did(monkeypatch, devices, told):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    children = psutil.Process().children()
    launch(devices, 1)
    assert psutil.Process().children() == children
    assert {name: os.environ[name] for name in (*LAUNCHERS, "WORLD_SIZE") if name in os.environ} == {
        name: value for name, value in told.items() if name in LAUNCHERS
    }


@pytest.mark.slow
def test_a_process_whose_other_failed_does_not_wait_for_ever(tmp_path):
    done, _ = launched(tmp_path, 2, "fail")
    assert done.returncode == 128 + signal.SIGTERM
    assert "of this training ended with code 3" in done.stderr
