"""Processes that live and die, and stages that end together with the process that started them."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from stages import STAGES

from pipeline.system import processes
from pipeline.system.processes import Process

PARENT = """
import signal, subprocess, sys
subprocess.Popen([sys.executable, "-c", sys.argv[1]])
signal.pause()
"""
STAGE = """
import signal, sys, time
from pipeline.system import processes
processes.LOOK, processes.GRACE = 0.05, {grace}
{before}
import pipeline.stages  # as python -m pipeline.stages.NAME does first
from pipeline.system.errors import run
def main():
    print("ready", flush=True)
    try:
        time.sleep({seconds})
        print("slept", flush=True)
    finally:
        print("ended in good order", flush=True)
run(main)
"""
IMPORTING = """
import time
import pipeline.stages
print("ready", flush=True)
time.sleep(60)
"""
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "SLURM_"))}


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


def test_a_process_is_named_by_its_id_and_host():
    assert str(Process("here", 12, 1.0)) == "process 12 on here"


@pytest.fixture
def orphan():
    """Return a function that starts a process that starts a stage, and returns it once the stage is ready."""
    parents = []

    def begin(env, grace=20.0, before="", seconds=60.0, code=STAGE):
        code = code.format(grace=grace, before=before, seconds=seconds)
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
    assert parent.stdout.read() == "ended in good order\n"  # read until the stage has ended as well


def test_a_stage_whose_parent_lives_keeps_running(orphan):
    parent = orphan({"DVC_STAGE": "train"}, seconds=0.5)
    assert parent.stdout.readline() == "slept\n"


def test_an_orphan_that_does_not_end_in_good_order_is_killed(orphan):
    deaf = "set_handler = signal.signal\nsignal.signal = lambda number, _: set_handler(number, signal.SIG_IGN)"
    parent = orphan({"DVC_STAGE": "train"}, 0.2, deaf)
    parent.kill()
    assert parent.stdout.read() == ""


def test_a_stage_that_a_person_started_outlives_the_shell(orphan):
    parent = orphan({}, seconds=1.0)
    parent.kill()
    assert parent.stdout.read() == "slept\nended in good order\n"


def test_a_stage_whose_parent_is_killed_during_its_imports_ends(orphan):
    parent = orphan({"DVC_STAGE": "train"}, code=IMPORTING)
    parent.kill()
    parent.communicate(timeout=30)  # returns once both have ended, since they share stdout


BEGIN = """
import os, signal, subprocess, sys
subprocess.Popen(sys.argv[1], shell=True)
print("begun", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("stage", ["prepare", "train"])
def test_a_stage_whose_parent_is_killed_in_its_first_tenth_of_a_second_ends(stage):
    command = STAGES[stage]["cmd"].replace("cd ../.. && ", "").replace(f"-m pipeline.stages.{stage}", '-c "$CODE"')
    env = ENV | {"DVC_STAGE": stage, "CODE": IMPORTING.replace("60", "600")}
    parents = []
    for moment in range(9):
        words = [sys.executable, "-c", BEGIN, command]
        parents.append(subprocess.Popen(words, stdout=subprocess.PIPE, env=env, text=True))
        assert parents[-1].stdout.readline() == "begun\n"
        time.sleep(0.0125 * moment)
        parents[-1].kill()
    for parent in parents:
        parent.communicate(timeout=60)  # returns once both have ended, since they share stdout


@pytest.mark.parametrize("env", [{"DVC_STAGE": "train"}, {"LOCAL_RANK": "1"}])
def test_a_stage_that_was_adopted_before_its_command_could_look_ends(env):
    adopted = ENV | env | {processes.PARENT: str(os.getpid())}
    words = [sys.executable, "-c", IMPORTING]
    done = subprocess.run(words, env=adopted, start_new_session=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGTERM


def test_a_stage_keeps_running_with_a_process_between_it_and_its_starter(orphan):
    env = {"DVC_STAGE": "train", processes.PARENT: str(os.getpid())}
    assert orphan(env, seconds=0.5).stdout.readline() == "slept\n"


def test_a_program_that_is_interrupted_leaves_none_of_its_processes(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.system import errors, processes\n"
        'words = ["bash", "-c", "sleep 600 & echo $! > pid; wait"]\n'
        'errors.run(lambda: processes.run(words, Path(), {"PATH": sys.argv[1]}))\n'
    )
    program = subprocess.Popen([sys.executable, "-c", script, os.environ["PATH"]], cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    sleeper = psutil.Process(int((tmp_path / "pid").read_text()))
    program.send_signal(signal.SIGINT)
    assert program.wait(60) == 130
    assert not sleeper.is_running()


def test_a_program_ends_with_its_own_code(tmp_path):
    assert processes.run(["bash", "-c", "exit 7"], tmp_path, {"PATH": os.environ["PATH"]}) == 7
