"""The seconds around pure computation: of a whole run, of `dvc repro` that does nothing, and of two verbs.

A whole run is `dvc repro` of the default in a fresh clone of the last commit, nothing cached, with one epoch and few
samples; each stage runs with its seconds told apart by marks.py. `end` is what a process takes to end, and what is
left of the clock is DVC's. Beside the short commands stand what they are built on: bare interpreters, imports, and DVC
alone. Processor seconds are told too, since the clock's depend on what else the machine does. The targets are 15 s
around a whole run's computation, 1 s for `dvc repro` that does nothing, 0.3 s for `pipeline --help`, and 4 s for
`pipeline sample` of 64 images. Run from a clone:
python benchmarks/overhead.py [--rounds 5] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from turns import Spread, in_turn, machine
from workspaces import change

from pipeline.system import project

PYTHON = sys.executable
DVC = (PYTHON, "-m", "dvc")
PIPELINE = (PYTHON, "-c", "from pipeline.cli.main import main; main()")
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTHONPATH"))} | {
    "PATH": f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"
}
SHORT = {"train.epochs": 1, "features.epochs": 1, "evaluate.samples": 200, "evaluate.reconstructions": 16}
PARTS = ("start", "imports", "tracking", "end", "dvc")


class Took(NamedTuple):
    """Seconds of a command, by the clock and of processors."""

    clock: float
    processor: float


def took(words: Sequence[str], folder: Path) -> Took:
    """Run a command that succeeds, and return its seconds."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=ENV, capture_output=True, text=True, check=False)
    clock, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return Took(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def cloned(workspace: Path, to: Path) -> Path:
    """Clone the last commit, with short params and stages that are timed; return the file of what they tell."""
    took(["git", "clone", "--quiet", str(workspace), str(to)], workspace)
    told = to.with_suffix(".jsonl")
    layout = to / project.LAYOUT
    timed = rf"python -m benchmarks.marks \1 {told} $(date +%s.%N) && date +%s.%N >> {told}"
    layout.write_text(
        re.sub(r"exec env PIPELINE_PARENT=\$PPID python -m pipeline\.stages\.(\w+)", timed, layout.read_text())
    )
    change(to, SHORT)
    return told


def whole(workspace: Path, to: Path) -> dict[str, dict[str, float]]:
    """Run everything in a fresh clone, and return the seconds of each stage by part, and those of DVC."""
    told = cloned(workspace, to)
    run = took([*DVC, "repro"], to)
    lines = list(map(json.loads, told.read_text().splitlines()))
    stages = {}
    for parts, ended in zip(lines[::2], lines[1::2], strict=True):
        stage, begun = parts.pop("stage"), parts.pop("begun")
        stages[stage] = parts | {"end": ended - begun - sum(parts.values())}
    inside = sum(sum(parts.values()) for parts in stages.values())
    return stages | {"dvc": {"dvc": run.clock - inside}}


def overhead(stages: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the seconds of a whole run by part, but for the work."""
    return {part: sum(parts.get(part, 0.0) for parts in stages.values()) for part in PARTS}


def commands(clone: Path, empty: Path) -> dict[str, Callable[[], Took]]:
    """Return the short commands by name, to be run in a clone where everything is up to date."""
    took([*DVC, "init", "--no-scm", "--quiet"], empty)
    grid = str(empty / "grid.png")
    words = {
        "dvc repro, nothing to do": ([*DVC, "repro"], clone),
        "dvc status, empty project": ([*DVC, "status"], empty),
        "dvc --version": ([*DVC, "--version"], empty),
        "pipeline --help": ([*PIPELINE, "--help"], clone),
        "pipeline sample, 64 images": ([*PIPELINE, "sample", "model", "-n", "64", "--out", grid], clone),
        "python -c pass": ([PYTHON, "-c", "pass"], empty),
        "import torch": ([PYTHON, "-c", "import torch"], empty),
        "import pytorch_lightning": ([PYTHON, "-c", "import pytorch_lightning"], empty),
        "import mlflow": ([PYTHON, "-c", "import mlflow"], empty),
    }
    return {name: partial(took, each, folder) for name, (each, folder) in words.items()}


def main() -> None:
    """Measure, and print medians with the least and the greatest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of the short commands")
    parser.add_argument("--runs", type=int, default=3, help="whole runs")
    words = parser.parse_args()
    workspace = project.workspace()
    print(machine("dvc", "mlflow", "pytorch-lightning"))
    with tempfile.TemporaryDirectory() as temporary:
        folder, empty = Path(temporary), Path(temporary) / "empty"
        empty.mkdir()
        runs = [whole(workspace, folder / f"clone{turn}") for turn in range(words.runs)]
        for stage in runs[0]:
            told = {part: Spread.of([run[stage][part] for run in runs]) for part in runs[0][stage]}
            print(f"{stage:10} " + ", ".join(f"{part} {spread}" for part, spread in told.items()), flush=True)
        sums = [overhead(run) for run in runs]
        for part in PARTS:
            print(f"all stages, {part}: {Spread.of([each[part] for each in sums])} s")
        print(f"around computation: {Spread.of([sum(each.values()) for each in sums])} s")
        processor: dict[str, list[float]] = {}

        def clocked(name: str, command: Callable[[], Took]) -> Callable[[], float]:
            def run() -> float:
                found = command()
                processor.setdefault(name, []).append(found.processor)
                return found.clock

            return run

        last = folder / f"clone{words.runs - 1}"
        found = in_turn({name: clocked(name, each) for name, each in commands(last, empty).items()}, words.rounds)
        for name, clock in found.items():
            print(f"{name:28} {Spread.of(clock)} s, processor {Spread.of(processor[name])} s")


if __name__ == "__main__":
    main()
