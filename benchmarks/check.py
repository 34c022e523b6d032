"""A short set of ratios compared with recorded ones: `make bench-check` fails if one has fallen by more than a margin.

A ratio is the speed of ours over that of its counterpart, measured in turn on the same machine, so that it carries over
to other machines approximately; the margin is wide because of other load. recorded.json holds the recorded ratios,
those of training by the precision that the processor supports; --record updates it with the measured ones.
Run from a workspace: python benchmarks/check.py [--rounds 3] [--margin 0.25] [--record]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import prepare
from evaluation import FIDELITY, OURS, metrics
from library.commands import PYTHON, took
from library.training import tasked
from library.turns import Spread, fallen, in_turn, machine, ratios
from throughput import things

from pipeline.system import project
from pipeline.training import environment

RECORDED = Path(__file__).parent / "recorded.json"
LIBRARIES = "import torch, pytorch_lightning, mlflow"


def training(rounds: int) -> dict[str, Spread]:
    """Compare training with the limit and the usual template."""
    with tasked(project.workspace(), "vae", size=32, channels=1) as task:
        chosen = {name: each for name, each in things(task, 25, 5).items() if name in ("ours", "limit", "template")}
        taken, way = in_turn(chosen, rounds), environment.precision(task.params.runtime)
    return {f"training, {way}, against {name}": ratios(taken[name], taken["ours"]) for name in ("limit", "template")}


def preparing(rounds: int, files: int = 2000) -> dict[str, Spread]:
    """Compare prepare with a pass of ImageFolder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare.generate(folder, 0, files, 32)
        found = prepare.against(folder, 32, files, rounds)
    return {f"prepare against {name}": each for name, each in found.items()}


def scoring(rounds: int) -> dict[str, Spread]:
    """Compare the metrics of features with torch-fidelity's."""
    taken = metrics(600, rounds)
    return {"metrics against torch-fidelity": ratios(taken[FIDELITY], taken[OURS])}


def starting(rounds: int) -> dict[str, Spread]:
    """Compare the imports of train with those of its libraries, and `pipeline --help` with Python's start."""

    def clock(code: str) -> Callable[[], float]:
        return lambda: took([PYTHON, "-c", code], project.workspace()).clock

    codes = {
        "train": "import pipeline.stages.train",
        "libraries": LIBRARIES,
        "help": "import sys; sys.argv = ['pipeline', '--help']; from pipeline.cli.main import main; main()",
        "python": "import argparse",
    }
    taken = in_turn({name: clock(code) for name, code in codes.items()}, rounds)
    return {
        "imports of train against its libraries": ratios(taken["libraries"], taken["train"]),
        "help against Python's start": ratios(taken["python"], taken["help"]),
    }


def main() -> None:
    """Measure and compare, or record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--margin", type=float, default=0.25, help="share by which a ratio may fall")
    parser.add_argument("--record", action="store_true", help="write the measured ratios to recorded.json")
    words = parser.parse_args()
    recorded: dict[str, float] = json.loads(RECORDED.read_text()) if RECORDED.is_file() else {}
    print(machine("pytorch-lightning", "mlflow"))
    found: dict[str, Spread] = {}
    for part in (training, preparing, scoring, starting):
        found |= part(words.rounds)
    if words.record:
        recorded |= {name: round(each.median, 3) for name, each in found.items()}
        RECORDED.write_text(json.dumps(recorded, indent=2) + "\n")
    for name, spread in found.items():
        print(f"{name}: {spread} times as fast, recorded {recorded.get(name, 'not yet: --record adds it')}")
    lost = fallen(found, recorded, words.margin)
    sys.exit(f"slower than recorded by more than {words.margin:.0%}: {', '.join(lost)}" if lost else 0)


if __name__ == "__main__":
    main()
