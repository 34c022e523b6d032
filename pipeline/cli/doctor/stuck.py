"""Tasks that stay Running in DVC's queue because their worker was killed, and the commands that free them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from pipeline.system import disk
from pipeline.system.errors import ArtifactError

if TYPE_CHECKING:
    from dvc.repo.experiments.queue.base import QueueEntry
    from dvc.repo.experiments.queue.celery import LocalCeleryQueue

ANSWER = 3.0
"""Seconds that workers have to report their tasks."""


@dataclass(frozen=True)
class Stuck:
    """A task whose worker was killed; `executor` is the pid of the process that still computes it, if any."""

    name: str
    rev: str
    baseline: str
    executor: int | None
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Info:
    """The one field that is needed of DVC's info file on a task."""

    root_dir: str


class Executor(NamedTuple):
    """The live process that computes a task, and whether the worker that collects its result is alive."""

    pid: int
    tended: bool


def stuck(queue: LocalCeleryQueue, root: Path) -> list[Stuck]:
    """Return the tasks that no worker will ever finish."""
    executors = _executors()
    found = [task for task in queue.iter_active() if not (one := executors.get(task.stash_rev)) or not one.tended]
    if found:
        # A task that is starting, ending or on another machine has no executor here, but its worker answers
        answered = _answered(queue)
        active = {task.stash_rev for task in queue.iter_active()}
        found = [task for task in found if task.stash_rev in active - answered]
    return [_described(task, executors.get(task.stash_rev), queue, root) for task in found]


def _executors() -> dict[str, Executor]:
    """Return the executor of each task that has one, by the task's revision."""
    processes: dict[int, tuple[int, list[str]]] = {
        each.pid: (each.info["ppid"], each.info["cmdline"] or [])
        for each in psutil.process_iter(["ppid", "cmdline", "status"])
        if each.info["status"] != psutil.STATUS_ZOMBIE
    }
    return {
        Path(words[words.index("--infofile") + 1]).stem: Executor(
            pid, "queue-worker" in processes.get(parent, (0, []))[1]
        )
        for pid, (parent, words) in processes.items()
        if "exec-run" in words and "--infofile" in words[:-1]
    }


def _answered(queue: LocalCeleryQueue) -> set[str]:
    """Return the revisions of the tasks that workers report as active."""
    answers = queue.celery.control.inspect(timeout=ANSWER).active() or {}
    return {task["args"][0]["stash_rev"] for task in chain(*answers.values()) if task["args"]}


def _described(task: QueueEntry, executor: Executor | None, queue: LocalCeleryQueue, root: Path) -> Stuck:
    rev, info = task.stash_rev[:7], Path(queue.get_infofile_path(task.stash_rev))
    commands = [
        f"cd {shlex.quote(str(root))}",
        # `dvc queue kill` kills the pid in this file, which another process may have by now
        f"rm -f {shlex.quote(str(info.with_suffix('.json').relative_to(root)))}",
        # by revision, since two tasks may have the same name
        f"dvc queue kill {rev}",
        # if the task died before its setup, the first call removes its stashed experiment, the second the task
        *[f"dvc queue remove {rev}"] * (2 if task.stash_rev in queue.stash.stash_revs else 1),
    ]
    if (copy := _copy(info)) and copy.is_dir() and copy.is_relative_to(root):
        # last, since `dvc exp show` fails if a running task has no copy
        commands.append(f"rm -rf {shlex.quote(str(copy.relative_to(root)))}")
    pid = executor.pid if executor else None
    return Stuck(task.name or rev, rev, task.baseline_rev[:7], pid, tuple(commands))


def _copy(info: Path) -> Path | None:
    """Return the copy of the repository in which a task runs; None if its info file does not name it."""
    try:
        return Path(disk.read_json(info, Info).root_dir)
    except ArtifactError:
        return None
