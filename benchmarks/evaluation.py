"""A whole evaluation with Inception's features, against torch-fidelity, pytorch-fid and clean-fid, in turn.

For a first model the reference and the samples go through the network, for every further one the samples alone, since
each keeps what it can of the reference. The same images of data/prepared, the same weights, networks loaded each time:

    ours, torch-fidelity   FID, KID, precision and recall (ours density and coverage too)
    pytorch-fid            FID
    clean-fid              FID, KID
    ours, all              the distance at infinity and intervals too, which the others do not have

By default against torch-fidelity alone: the others take roots of matrices for tens of seconds.
Batches are each one's default, or --batch. Ours and torch-fidelity's scores are to agree; the others resize otherwise.
The fewer the images the more the metrics count: with --rows they are timed by themselves on that many rows of features.
OMP_NUM_THREADS sets the threads of all.
Without the published weights, `python tests/inception_weights.py FILE` writes random ones.
Run from a workspace that has data/prepared:
python benchmarks/evaluation.py [--weights FILE] [--images 48] [--rounds 2] [--rows 2000]
    [--against torch-fidelity pytorch-fid clean-fid]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from evaluators import Contestant, Images, Scores, contestants, everything, same, theirs
from turns import Spread, in_turn, machine, ratios

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import DIMENSIONS
from pipeline.system import project

OURS = "ours"
OTHERS = ["torch-fidelity", "pytorch-fid", "clean-fid"]


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that something takes, what it prints left out."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin


def features(chosen: Mapping[str, Contestant], images: Images, rounds: int) -> dict[str, list[float]]:
    """Return the seconds that each takes for the features of the samples."""
    ways = {name: each.features(images) for name, each in chosen.items()}
    return in_turn({name: lambda way=way: timed(way) for name, way in ways.items()}, rounds)


def whole(
    chosen: Mapping[str, Contestant], images: Images, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, Scores]]:
    """Return the seconds that each takes for a first model and for a further one, and what it says of them."""
    said: dict[str, Scores] = {}

    def evaluation(name: str) -> float:
        with tempfile.TemporaryDirectory() as folder:
            first = timed(lambda: chosen[name].first(images, Path(folder)))
            further[name].append(timed(lambda: said.update({name: chosen[name].further(images, Path(folder))})))
        return first

    further: dict[str, list[float]] = {name: [] for name in chosen}
    first = in_turn({name: lambda name=name: evaluation(name) for name in chosen}, rounds)
    return first, further, said


def metrics(n: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds that metrics take of features that are there, of n items each."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, DIMENSIONS + 1) ** -0.5
    real, samples = (rng.normal(shift, scales, (n, DIMENSIONS)).astype(np.float32) for shift in (0.0, 0.1))
    ways = {OURS: same, "torch-fidelity": theirs, "ours, all": everything}
    return in_turn({name: lambda way=way: timed(lambda: way(real, samples)) for name, way in ways.items()}, rounds)


def show(what: str, seconds: Mapping[str, list[float]], items: int) -> None:
    """Print the seconds of each and its items a second, and how many times ours it takes."""
    print(f"{what}, {items} items")
    for name, each in seconds.items():
        rate = items / Spread.of(each).median
        print(
            f"  {name:16} {Spread.of(each)} s, {rate:.3g} a second, {ratios(each, seconds[OURS])} times ours",
            flush=True,
        )


def agreement(said: Mapping[str, Scores]) -> None:
    """Print what each says, and how far from ours."""
    for name, scores in said.items():
        apart = ", ".join(
            f"{key} {value:.6g} ({value / said[OURS][key] - 1:+.1e})"
            for key, value in scores.items()
            if said[OURS].get(key)
        )
        print(f"{name:16} {apart}")


def main() -> None:
    """Measure features, whole evaluations, and metrics by themselves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("data/weights"))
    parser.add_argument("--images", type=int, default=48, help="of the reference, and samples")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, help="of the others; otherwise each one's default")
    parser.add_argument("--against", nargs="*", default=["torch-fidelity"], choices=OTHERS)
    parser.add_argument("--rows", type=int, default=0, help="of features that metrics are timed on by themselves")
    words = parser.parse_args()
    data, everyone = PreparedData.open(project.workspace()), contestants(words.batch)
    chosen = {name: everyone[name] for name in (OURS, *words.against, "ours, all")}
    print(machine("torch-fidelity", "pytorch-fid", "clean-fid", "scipy"))
    with tempfile.TemporaryDirectory() as folder:
        images = Images.of(data, words.images, weights.find(words.weights), Path(folder))
        found = features({name: chosen[name] for name in (OURS, *words.against)}, images, words.rounds)
        first, further, said = whole(chosen, images, words.rounds)
        alone = metrics(words.rows, words.rounds) if words.rows else {}
    show("features", found, words.images)
    show("a first model", first, words.images)
    show("a further model", further, words.images)
    if alone:
        show("metrics of features", alone, words.rows)
    agreement(said)


if __name__ == "__main__":
    main()
