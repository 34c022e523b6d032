"""Scores of models trained with bfloat16 and with float32, for each content and family.

Dataset, extractor, order and noise are the same. Each round has another training seed, so that the effect of bfloat16
can be compared with that of a seed. The stages run with default params except the epochs. On a processor without
instructions for bfloat16 there is nothing to compare.
Run from a workspace: python benchmarks/precision.py [--contents text code] [--families gan] [--epochs 5] [--rounds 2]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from library.turns import machine, spreads
from library.workspaces import change, prepared, stage

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.scores import read_scores
from pipeline.models.families import FAMILIES
from pipeline.params import Params
from pipeline.system import project
from pipeline.training import environment

SOURCES = {"image": "fashion-mnist-10k", "audio": "instruments", "text": "python-topics", "code": "python-library"}
PRECISIONS = ("32-true", "bf16-mixed")


def scored(folder: Path, names: list[str]) -> dict[str, float]:
    """Train and evaluate in a workspace, and return the named scores that the model has."""
    for each in ("train", "evaluate"):
        stage(each, folder)
    scores = read_scores(folder)
    return {name: scores[name] for name in names if name in scores}


def compared(folder: Path, family: str, rounds: int) -> None:
    """Train a family in both precisions in turn, and print the scores."""
    content = PreparedData.open(folder).content
    names = [f"{content.distance}_in_domain", "reconstruction_loss", f"bits_per_{content.unit}"]
    found: dict[str, list[dict[str, float]]] = {precision: [] for precision in PRECISIONS}
    for seed in range(rounds):
        for precision, scores in found.items():
            change(folder, {"family": family, "seed": seed, "runtime.precision": precision})
            scores.append(scored(folder, names))
    for precision, scores in found.items():
        print(f"{content.name}, {family}, {precision}: {spreads(scores)}", flush=True)


def main() -> None:
    """Compare both precisions for each content and family."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contents", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    words = parser.parse_args()
    runtime = Params.load(project.workspace()).runtime.model_copy(update={"precision": "auto"})
    print(machine("pytorch-lightning"))
    if environment.precision(runtime) != "bf16-mixed":
        print("this processor has no instructions for bfloat16, so `auto` is float32: nothing to compare")
        return
    for content in words.contents:
        with tempfile.TemporaryDirectory() as name:
            changes = {"content": content, "prepare.source": SOURCES[content], "train.epochs": words.epochs}
            folder = prepared(Path(name), project.workspace(), changes)
            for family in words.families:
                compared(folder, family, words.rounds)


if __name__ == "__main__":
    main()
