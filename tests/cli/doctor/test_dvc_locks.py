"""The doctor's findings on DVC's locks, checked by what DVC itself then does: real processes and kills."""

import json
import os
import subprocess

import psutil
import pytest
from clone import fix, only
from dvc.repo import Repo

from pipeline.cli.doctor import dvc


def test_a_running_command_s_lock_passes_and_a_dead_one_s_does_not_block(clone):
    clone.lasts(60)
    assert only(dvc.locks(clone.root)).ok
    command = clone.start("dvc repro")
    clone.until(lambda: clone.processes("sleep"))
    held = only(dvc.locks(clone.root))
    assert held.ok
    assert f"process {command.pid} " in held.text
    command.kill()
    command.wait()
    assert str(command.pid) in (clone.root / ".dvc" / "tmp" / "rwlock").read_text()
    assert only(dvc.locks(clone.root)).ok
    clone.lasts(0)
    clone("dvc repro")


def test_the_repository_s_own_lock_is_seen_while_it_is_held_and_not_after(clone):
    with Repo(clone.root) as repo, repo.lock:
        finding = only(dvc.locks(clone.root))
        assert finding.ok
        assert f"process {os.getpid()}, which is running" in finding.text
    assert only(dvc.locks(clone.root)).text == "no DVC command holds a lock"


@pytest.mark.parametrize("zombie", [False, True])
def test_a_dead_command_s_lock_blocks_while_its_pid_is_reused_and_is_named_and_removed(clone, zombie):
    other = subprocess.Popen(["sleep", "0" if zombie else "60"])
    try:
        clone.until(lambda: (psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE) is zombie)
        taken = {"write": {str(clone.root / "out.txt"): {"pid": other.pid, "cmd": "/bin/dvc repro"}}}
        (clone.root / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(taken))
        finding = only(dvc.locks(clone.root))
        assert f"DVC mistakes process {other.pid}" in finding.text
        assert "is busy" in clone("dvc repro", ok=False)
        clone(fix(finding), at="/")
        clone("dvc repro")
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [("rwlock", "", "dvc repro"), ("exps/rwlock", '{"write": 1}', "dvc exp run --queue -S x=1")],
)
def test_a_half_written_lock_blocks_and_is_named_and_removed(clone, name, text, command):
    lock = clone.root / ".dvc" / "tmp" / name
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(text)
    finding = only(dvc.locks(clone.root))
    assert "is corrupt" in finding.text
    clone(command, ok=False)
    clone(fix(finding), at="/")
    clone(command)
