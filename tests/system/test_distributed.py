"""Several processes: which one leads, how they start, and how the loss of one is reported."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from pipeline.system.distributed import follow, launch, leads, together
from pipeline.system.errors import TrainingError

LOSE = """
import os, sys
from datetime import timedelta
import torch
import torch.distributed as dist
from pipeline.system.errors import TrainingError
from pipeline.system.distributed import together
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
from pipeline.system import distributed, processes
from pipeline.system.errors import run
processes.GRACE = 0.3
def main():
    distributed.launch(int(sys.argv[2]), 1)
    folder, rank = Path(sys.argv[1]), os.environ.get("LOCAL_RANK", "none")
    (folder / rank).write_text(f"{distributed.leads()} {sys.argv[2]} {os.environ.get('WORLD_SIZE')}")
    if rank != "0" and sys.argv[3] == "fail":
        sys.exit(3)
    while len(list(folder.iterdir())) < int(sys.argv[2]) or sys.argv[3] == "fail":
        time.sleep(0.02)
import pipeline.stages
run(main)
"""
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "SLURM_"))}
LAUNCHERS = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")


@pytest.mark.parametrize(
    ("variables", "lead"),
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
def test_one_process_of_a_training_leads_whoever_launched_it(monkeypatch, variables, lead):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert leads() is lead


def fail(error):
    def play():
        raise error

    return play


def test_a_process_that_follows_prints_nothing_of_what_the_leader_reports(capsys):
    with pytest.raises(SystemExit) as caught:
        follow(fail(TrainingError("the loss is nan")))
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "")


def test_a_mistake_of_ours_keeps_its_traceback_in_a_process_that_follows():
    with pytest.raises(RuntimeError, match="shapes differ"):
        follow(fail(RuntimeError("shapes differ")))


def test_a_process_that_follows_to_the_end_returns():
    played = []
    follow(lambda: played.append(1))
    assert played == [1]


def test_the_loss_of_a_process_is_reported_in_one_line(tmp_path):
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


def test_another_error_is_not_taken_for_the_loss_of_a_process():
    with pytest.raises(RuntimeError, match="shapes differ"), together():
        raise RuntimeError("shapes differ")


def launched(tmp_path, devices, how, **variables):
    """Run a program that launches other processes; return its result and what each process recorded."""
    program, folder = tmp_path / "program.py", tmp_path / "said"
    program.write_text(LAUNCH)
    folder.mkdir()
    env = {name: value for name, value in ENV.items() if name not in LAUNCHERS} | variables
    words = [sys.executable, str(program), str(folder), str(devices), how]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300, check=False)
    return done, {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.slow
def test_processes_that_are_launched_run_the_same_program_and_know_which_they_are(tmp_path):
    done, said = launched(tmp_path, 3, "well")
    assert done.returncode == 0, done.stderr
    assert said == {"0": "True 3 3", "1": "False 3 3", "2": "False 3 3"}


@pytest.mark.parametrize(
    ("devices", "variables"),
    [
        (1, {}),
        (2, {"RANK": "0", "LOCAL_RANK": "0"}),
        (2, {"LOCAL_RANK": "1"}),
        (2, {"SLURM_PROCID": "0", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "train"}),
    ],
)
def test_nothing_is_launched_where_one_is_enough_or_another_launcher_did(monkeypatch, devices, variables):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    children = psutil.Process().children()
    launch(devices, 1)
    assert psutil.Process().children() == children
    assert {name: os.environ[name] for name in (*LAUNCHERS, "WORLD_SIZE") if name in os.environ} == {
        name: value for name, value in variables.items() if name in LAUNCHERS
    }


@pytest.mark.slow
def test_a_process_whose_other_failed_does_not_wait_for_ever(tmp_path):
    done, _ = launched(tmp_path, 2, "fail")
    assert done.returncode == 128 + signal.SIGTERM
    assert "of this training ended with code 3" in done.stderr
