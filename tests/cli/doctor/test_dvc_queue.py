"""The doctor's findings on DVC's queue, checked by what DVC itself then does: real workers and kills."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from clone import fix, only
from dvc.repo import Repo

from pipeline.cli.doctor import dvc


def has_experiment(clone, name):
    return f"/{name}\n" in clone("git for-each-ref --format='%(refname)' refs/exps")


def test_a_repository_without_a_queue_is_well_and_none_is_made(clone):
    assert only(dvc.queue(clone.root)).ok
    assert not (clone.root / ".dvc" / "tmp" / "exps").exists()


def test_a_task_whose_worker_died_as_it_took_it_is_named_and_freed_and_a_waiting_one_is_well(clone):
    clone("dvc exp run --queue -S x=1 -n mine")
    waiting = only(dvc.queue(clone.root))
    assert waiting.ok
    assert "1 queued" in waiting.text
    with Repo(clone.root) as repo:
        app = repo.experiments.celery_queue.celery
        with app.connection_for_read() as connection, connection.channel() as channel:
            assert channel.basic_get("celery")  # as such a worker leaves it: the task is out of the queue
    finding = only(dvc.queue(clone.root))
    assert "mine" in finding.text
    clone(fix(finding), at="/")
    assert clone.status() == {}
    assert only(dvc.queue(clone.root)).ok


def revision(executor):
    """Return the revision of the task that an executor computes."""
    words = executor.cmdline()
    return Path(words[words.index("--infofile") + 1]).stem


@pytest.mark.slow
def test_a_killed_worker_s_task_is_named_freed_and_run_again_and_the_other_worker_s_tasks_finish(clone):
    clone.lasts(8)
    for x in (1, 2, 3, 4):
        clone(f"dvc exp run --queue -S x={x} -n e{x}")
    clone("dvc queue start -j 2")
    clone.until(lambda: len(clone.computing()) == 2)
    assert only(dvc.queue(clone.root)).text == "2 running, 2 queued, none stuck"
    victim = clone.computing()[0]
    rev = revision(victim)
    os.killpg(os.getpgid(victim.pid), signal.SIGKILL)  # its worker, itself and its stage
    clone.until(lambda: victim not in clone.processes("exec-run"))  # the signal takes a moment

    finding = only(dvc.queue(clone.root))
    assert f"({rev[:7]}) is stuck: no process works on it" in finding.text
    name = finding.text.split()[0]
    clone.until(lambda: list(clone.status().values()).count("Success") == 3)
    assert clone.status()[name] == "Running"
    assert only(dvc.queue(clone.root)).text == finding.text

    clone(fix(finding), at="/")
    assert name not in clone.status()
    assert only(dvc.queue(clone.root)).ok
    assert not list((clone.root / ".dvc" / "tmp" / "exps").glob("tmp*"))
    assert f"+x: {name[1]}" in clone(finding.text.split("`")[-2])
    clone.until(lambda: not clone.processes("queue-worker"))  # one that is about to end may take a task with it
    clone(f"dvc exp run --queue -S x={name[1]} -n {name} && dvc queue start")
    clone.until(lambda: clone.status().get(name) == "Success")
    assert has_experiment(clone, name)


@pytest.mark.slow
def test_a_task_that_still_runs_without_its_worker_is_named_and_comes_from_the_cache_when_queued_again(clone):
    clone.lasts(8)
    clone("dvc exp run --queue -S x=1 -n mine && dvc queue start")
    (executor,) = clone.until(clone.computing)
    executor.parent().kill()
    finding = only(dvc.queue(clone.root))
    assert f"process {executor.pid} still computes it" in finding.text
    clone.until(lambda: not clone.processes("exec-run"))
    assert clone.status() == {"mine": "Running"}

    clone(fix(finding), at="/")
    assert clone.status() == {}
    assert not has_experiment(clone, "mine")
    clone("dvc exp run --queue -S x=1 -n mine && dvc queue start")
    clone.until(lambda: clone.status() == {"mine": "Success"})
    assert has_experiment(clone, "mine")
    assert "is cached" in clone("dvc queue logs mine")


@pytest.mark.slow
def test_freeing_a_task_spares_a_process_that_reused_its_pid(clone):
    clone.lasts(60)
    clone("dvc exp run --queue -S x=1 -n mine && dvc queue start")
    (executor,) = clone.until(clone.computing)
    rev = revision(executor)
    os.killpg(os.getpgid(executor.pid), signal.SIGKILL)
    clone.until(lambda: executor not in clone.processes("exec-run"))
    note = clone.root / ".dvc" / "tmp" / "exps" / "run" / rev / f"{rev}.json"
    innocent = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        note.write_text(json.dumps(json.loads(note.read_text()) | {"pid": innocent.pid}))
        clone(fix(only(dvc.queue(clone.root))), at="/")
        assert clone.status() == {}
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()
