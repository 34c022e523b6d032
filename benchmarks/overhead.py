"""Overhead: of a whole run, of `dvc repro` with nothing to do, and of two verbs.

A whole run is `dvc repro` of the default in a fresh clone of the last commit, nothing cached, with one epoch and few
samples; library/marks.py divides each stage's seconds into parts. `end` is the exit of a process, and the rest of the
clock is DVC's. For comparison with the short commands, the things they depend on are measured too: bare interpreters,
imports, and DVC alone. Processor seconds are printed beside the clock's, which depend on the machine's other load.
Targets: 15 s of overhead in a whole run, 1 s for `dvc repro` with nothing to do, 0.3 s for `pipeline --help`, and 4 s
for `pipeline sample` of 64 images. Run from a clone: python benchmarks/overhead.py [--rounds 5] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path

from library.commands import PYTHON, Took, took
from library.turns import Spread, in_turn, machine, spreads
from library.workspaces import change

from pipeline.system import project

DVC = (PYTHON, "-m", "dvc")
PIPELINE = (PYTHON, "-c", "from pipeline.cli.main import main; main()")
SHORT = {"train.epochs": 1, "features.epochs": 1, "evaluate.samples": 200, "evaluate.reconstructions": 16}
PARTS = ("start", "imports", "tracking", "end", "dvc")


def cloned(workspace: Path, to: Path) -> Path:
    """Clone the last commit, with short params and timed stages; return the file that their seconds are written to."""
    took(["git", "clone", "--quiet", str(workspace), str(to)], workspace)
    file, layout = to.with_suffix(".jsonl"), to / project.LAYOUT
    timed = rf"python -m benchmarks.library.marks \1 {file} $(date +%s.%N) && date +%s.%N >> {file}"
    layout.write_text(
        re.sub(r"exec env PIPELINE_PARENT=\$PPID python -m pipeline\.stages\.(\w+)", timed, layout.read_text())
    )
    change(to, SHORT)
    return file


def whole(workspace: Path, to: Path) -> dict[str, dict[str, float]]:
    """Run everything in a fresh clone, and return the seconds of each stage by part, and those of DVC."""
    file = cloned(workspace, to)
    run = took([*DVC, "repro"], to)
    lines = list(map(json.loads, file.read_text().splitlines()))
    stages = {}
    for parts, ended in zip(lines[::2], lines[1::2], strict=True):
        stage, begun = parts.pop("stage"), parts.pop("begun")
        stages[stage] = parts | {"end": ended - begun - sum(parts.values())}
    inside = sum(sum(parts.values()) for parts in stages.values())
    return stages | {"dvc": {"dvc": run.clock - inside}}


def overhead(stages: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return the seconds of a whole run by part, the work left out."""
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
    """Measure, and print medians with the minimum and the maximum."""
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
            print(f"{stage:10} {spreads([run[stage] for run in runs])}", flush=True)
        sums = [overhead(run) for run in runs]
        print(f"all stages: {spreads(sums)} s")
        print(f"overhead: {Spread.of([sum(each.values()) for each in sums])} s")
        ways = commands(folder / f"clone{words.runs - 1}", empty)
        for name, results in in_turn(ways, words.rounds, attrgetter("clock")).items():
            clock, processor = (Spread.of(seconds) for seconds in zip(*results, strict=True))
            print(f"{name:28} {clock} s, processor {processor} s")


if __name__ == "__main__":
    main()
