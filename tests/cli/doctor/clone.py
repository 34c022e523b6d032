"""A tiny repository in which DVC really runs, and helpers for the doctor's findings about it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
from dvc.repo import Repo
from waiting import wait_for

ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_", "PYTHON"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "DVC_NO_ANALYTICS": "1",
}
STAGE = "stages:\n  wait:\n    cmd: sleep {} && cp params.yaml out.txt\n    params: [x]\n    outs: [out.txt]\n"


class Clone:
    """A repository whose only stage waits for some seconds."""

    def __init__(self, root):
        self.root = root

    def begin(self):
        """Make the repository."""
        self.root.mkdir()
        (self.root / "params.yaml").write_text("x: 0\n")
        self.lasts(0)
        self("git init -q && git config user.name me && git config user.email me@here && dvc init -q")
        self("git add -A && git commit -qm begin")

    def lasts(self, seconds):
        """Set how long its stage waits."""
        (self.root / "dvc.yaml").write_text(STAGE.format(seconds))

    def __call__(self, script, at=None, ok=True):
        """Run a shell script to its end and return its output."""
        output = self.root.parent / "output.txt"  # workers keep a pipe open
        with output.open("w") as file:
            ran = subprocess.run(["bash", "-euc", script], cwd=at or self.root, env=ENV, stdout=file, stderr=file)
        assert (ran.returncode == 0) is ok, output.read_text()
        return output.read_text()

    def start(self, script):
        return subprocess.Popen(script.split(), cwd=self.root, env=ENV, stdout=subprocess.DEVNULL)

    def status(self):
        """Return the status of each queued experiment, by its name."""
        with Repo(self.root) as repo:
            return {task["name"]: task["status"] for task in repo.experiments.celery_queue.status()}

    def until(self, true, seconds=180):
        return wait_for(true, seconds, said=self.status)

    def processes(self, *words):
        """Return the live processes that started here and have all of these words in their command line."""
        found = []
        for process in psutil.process_iter():
            try:
                here = process.cwd().startswith(str(self.root)) and process.status() != psutil.STATUS_ZOMBIE
                if here and all(word in process.cmdline() for word in words):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def computing(self):
        """Return the executors that run their stage already, without one that has only forked another."""
        executors = self.processes("exec-run")
        return [process for process in executors if set(process.children()) - set(executors)]


def only(findings):
    (finding,) = findings
    return finding


def fix(finding):
    """Return the commands in a failed finding."""
    assert not finding.ok
    return "\n".join(line.strip() for line in finding.text.splitlines() if line.startswith("    "))
