"""Checks of DVC's own state: stuck tasks, stale locks, a remote that does not answer."""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shlex
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import psutil

from pipeline.cli.doctor.findings import Finding

TASKS = Path(".dvc/tmp/exps/celery")
LOCK = Path(".dvc/tmp/lock")
RWLOCKS = (Path(".dvc/tmp/rwlock"), Path(".dvc/tmp/exps/rwlock"))


def queue(root: Path) -> Iterator[Finding]:
    """Check the queue for tasks that stay Running for ever because their worker was killed."""
    if not (root / TASKS).is_dir():
        yield Finding("queue", True, "no experiments are queued")
        return
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    from pipeline.cli.doctor.stuck import stuck

    try:
        with Repo(str(root)) as repo:
            tasks = repo.experiments.celery_queue
            found = stuck(tasks, Path(repo.root_dir))
            running, queued = len(list(tasks.iter_active())), len(list(tasks.iter_queued()))
    except DvcException as error:
        yield Finding("queue", False, f"DVC cannot read its queue: {error}")
        return
    for task in found:
        why = "no process works on it, since its worker was killed. To free it, run:"
        if task.executor:
            why = (
                f"process {task.executor} still computes it, but the worker that collects the result was killed. Wait "
                f"for the process to end, or run `dvc queue kill {task.rev}`. Then, to free the task, run:"
            )
        commands = "\n".join(f"    {command}" for command in task.commands)
        again = (
            f"Then queue it again: `git diff {task.baseline} {task.rev} -- params.yaml` shows its parameters, "
            "and finished stages come from the cache."
        )
        yield Finding("queue", False, f"{task.name} ({task.rev}) is stuck: {why}\n{commands}\n{again}")
    if not found:
        start = "; `dvc queue start` runs them" if queued and not running else ""
        yield Finding("queue", True, f"{running} running, {queued} queued, none stuck{start}")


def locks(root: Path) -> Iterator[Finding]:
    """Check for locks that block DVC although their process is dead; stale locks that DVC itself removes pass."""
    found = [finding for name in RWLOCKS if (root / name).is_file() for finding in _takers(root, name)]
    if holder := _flocked(root / LOCK):
        found.append(Finding("locks", True, f"{LOCK} is held by {holder}, which is running"))
    yield from found or [Finding("locks", True, "no DVC command holds a lock")]


def _takers(root: Path, name: Path) -> Iterator[Finding]:
    """Check the processes that hold a read-write lock."""
    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    fix = f"Once no DVC command runs here:\n    rm {shlex.quote(str(root / name))}"
    try:
        entries = SCHEMA(json.loads(_settled(root / name)))
    except (RecursionError, ValueError, Invalid):
        yield Finding("locks", False, f"{name} is corrupt, so DVC refuses to run. {fix}")
        return
    takers = {each["pid"]: each["cmd"] for each in chain(entries["write"].values(), *entries["read"].values())}
    for pid, command in takers.items():
        if _is(pid, command):
            yield Finding("locks", True, f"{name} is held by process {pid} ({command}), which is running")
        elif psutil.pid_exists(pid):  # DVC checks no more than this before it waits for a process
            text = f"{name} was taken by `{command}`, which is dead, but DVC mistakes process {pid} for it. {fix}"
            yield Finding("locks", False, text)


def _settled(path: Path) -> str:
    """Return the text of a lock file, whole even if another command is writing to it."""
    with contextlib.suppress(FileNotFoundError), path.with_name(f"{path.name}.lock").open() as guard:
        fcntl.flock(guard, fcntl.LOCK_SH)
        return path.read_text()
    return path.read_text()


def _is(pid: int, command: str) -> bool:
    """Return whether a process runs a command, whatever the path of the program, which is the command's first word."""
    try:
        process = psutil.Process(pid)
        words = " ".join(process.cmdline())
        return process.status() != psutil.STATUS_ZOMBIE and words.endswith(command.partition(" ")[2])
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _flocked(path: Path) -> str:
    """Return the process that holds a lock, as noted in the lock's file; empty if there is none."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return ""
    except BlockingIOError:
        return f"process {path.read_text().strip() or 'unknown'}"
    return ""


def remote(root: Path) -> Iterator[Finding]:
    """Check that the default remote answers, within a few seconds."""
    from dvc.config import NoRemoteError
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    from pipeline.cli.doctor.reach import unreachable

    try:
        with Repo(str(root)) as repo:
            store = repo.cloud.get_remote()
    except NoRemoteError:
        text = "no default remote, so data and models are in this clone only; `dvc remote add -d NAME URL` adds one"
        yield Finding("remote", True, text)
        return
    except (DvcException, ImportError) as error:  # ImportError: a package for this kind of remote is missing
        yield Finding("remote", False, f"DVC cannot use the default remote: {error}")
        return
    where = f"{store.name} ({re.sub('//[^/@]*@', '//', store.fs.unstrip_protocol(store.path))})"
    if reason := unreachable(store):
        fix = f"Fix that, or set another address: `dvc remote modify {store.name} url URL`"
        yield Finding("remote", False, f"{where} does not answer, so dvc push and pull fail: {reason}. {fix}")
    else:
        yield Finding("remote", True, f"{where} answers")
