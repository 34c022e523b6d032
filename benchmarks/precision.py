"""Scores of models that were trained with bfloat16, beside those of float32, for each content and family.

Data, extractor, order and noise are the same; each round has another seed of the training, so that what bfloat16
changes stands beside what a seed changes. The stages are those of the pipeline, with default params but for the epochs.
A processor without instructions for bfloat16 has nothing to compare.
Run from a workspace: python benchmarks/precision.py [--contents text code] [--families gan] [--epochs 5] [--rounds 2]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from turns import Spread, machine
from workspaces import change, prepared, stage

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.scores import read_scores
from pipeline.models.families import FAMILIES
from pipeline.params import Params
from pipeline.system import project
from pipeline.training import environment

SOURCES = {"image": "fashion-mnist-10k", "audio": "instruments", "text": "python-topics", "code": "python-library"}
PRECISIONS = ("32-true", "bf16-mixed")


def scored(folder: Path, names: list[str]) -> dict[str, float]:
    """Train and evaluate in a workspace, and return those of the scores that the model has."""
    for each in ("train", "evaluate"):
        stage(each, folder)
    scores = read_scores(folder)
    return {name: scores[name] for name in names if name in scores}


def compared(folder: Path, family: str, rounds: int) -> None:
    """Print the scores of a family's models in both precisions, trained in turn."""
    content = PreparedData.open(folder).content
    names = [f"{content.distance}_in_domain", "reconstruction_loss", f"bits_per_{content.unit}"]
    found: dict[str, list[dict[str, float]]] = {precision: [] for precision in PRECISIONS}
    for seed in range(rounds):
        for precision, scores in found.items():
            change(folder, {"family": family, "seed": seed, "runtime.precision": precision})
            scores.append(scored(folder, names))
    for precision, scores in found.items():
        told = (f"{name} {Spread.of([each[name] for each in scores])}" for name in scores[0])
        print(f"{content.name}, {family}, {precision}: {', '.join(told)}", flush=True)


def main() -> None:
    """Compare, content by content."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contents", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    words = parser.parse_args()
    runtime = Params.load(project.workspace()).runtime.model_copy(update={"precision": "auto"})
    print(machine("pytorch-lightning"))
    if environment.precision(runtime) != "bf16-mixed":
        print("no instructions for bfloat16 here: `auto` is float32")
        return
    for content in words.contents:
        with tempfile.TemporaryDirectory() as name:
            changes = {"content": content, "prepare.source": SOURCES[content], "train.epochs": words.epochs}
            folder = prepared(Path(name), project.workspace(), changes)
            for family in words.families:
                compared(folder, family, words.rounds)


if __name__ == "__main__":
    main()
