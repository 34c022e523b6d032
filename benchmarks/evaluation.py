"""A whole evaluation with Inception's features, against torch-fidelity, pytorch-fid and clean-fid, in turn.

A first model takes the reference and the samples through the network, a further one the samples alone, since each
evaluator keeps what it can of the reference. All use the same images of data/prepared and the same weights, and load
their networks each time:

    ours, torch-fidelity   FID, KID, precision and recall (ours density and coverage too)
    pytorch-fid            FID
    clean-fid              FID, KID
    ours, all              also the distance at infinity and intervals, which the others do not have

The default is torch-fidelity alone: the others take roots of matrices for tens of seconds.
The batch is each evaluator's default, or --batch. torch-fidelity's scores should agree with ours; the others resize
differently. The fewer the images, the larger the share of the metrics: --rows measures these alone, on so many rows of
features. OMP_NUM_THREADS sets the threads of all.
`python tests/inception_weights.py FILE` writes random weights, for lack of the published ones.
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
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from library import fidelity
from library.evaluators import Images, Ours, Scores, everything, same
from library.fid_packages import CleanFid, PytorchFid
from library.turns import Spread, in_turn, machine, ratios

from pipeline.data.prepared import PreparedData
from pipeline.evaluation.extractors import weights
from pipeline.evaluation.extractors.inception import DIMENSIONS
from pipeline.system import project

OURS, ALL, FIDELITY = "ours", "ours, all", "torch-fidelity"
OTHERS = [FIDELITY, "pytorch-fid", "clean-fid"]


def timed(run: Callable[[], object]) -> float:
    """Return the seconds of a call whose output is discarded."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin


def whole(evaluator: Any, images: Images) -> tuple[float, float, Scores]:
    """Return the seconds of a first and of a further model, and the scores of the latter."""
    scores: Scores = {}
    with tempfile.TemporaryDirectory() as folder:
        first = timed(lambda: evaluator.first(images, Path(folder)))
        further = timed(lambda: scores.update(evaluator.further(images, Path(folder))))
    return first, further, scores


def metrics(n: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of the metrics alone, on n rows of features of each set."""
    rng = np.random.default_rng(0)
    scales = np.arange(1, DIMENSIONS + 1) ** -0.5
    real, samples = (rng.normal(shift, scales, (n, DIMENSIONS)).astype(np.float32) for shift in (0.0, 0.1))
    ways = {OURS: same, FIDELITY: fidelity.metrics, ALL: everything}
    return in_turn({name: lambda way=way: timed(lambda: way(real, samples)) for name, way in ways.items()}, rounds)


def show(what: str, seconds: Mapping[str, list[float]], items: int) -> None:
    """Print the seconds and the throughput of each, and the ratio to ours."""
    print(f"{what}, {items} items")
    for name, each in seconds.items():
        spread, slower = Spread.of(each), ratios(each, seconds[OURS])
        print(f"  {name:16} {spread} s, {items / spread.median:.3g} items/s, {slower} times ours", flush=True)


def agreement(found: Mapping[str, Scores]) -> None:
    """Print the scores of each, and their relative differences to ours."""
    for name, scores in found.items():
        pairs = [(key, value, found[OURS].get(key)) for key, value in scores.items()]
        apart = ", ".join(f"{key} {value:.6g} ({value / mine - 1:+.1e})" for key, value, mine in pairs if mine)
        print(f"{name:16} {apart}")


def main() -> None:
    """Measure features, whole evaluations, and the metrics alone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=Path("data/weights"))
    parser.add_argument("--images", type=int, default=48, help="of the reference, and samples")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch", type=int, help="of the others; otherwise each one's default")
    parser.add_argument("--against", nargs="*", default=[FIDELITY], choices=OTHERS)
    parser.add_argument("--rows", type=int, default=0, help="of features for the metrics alone")
    words = parser.parse_args()
    chosen: dict[str, Any] = {
        OURS: Ours(same),
        FIDELITY: fidelity.TorchFidelity(words.batch or fidelity.BATCH),
        "pytorch-fid": PytorchFid(words.batch or 50),
        "clean-fid": CleanFid(words.batch or 32),
        ALL: Ours(everything),
    }
    chosen = {name: chosen[name] for name in (OURS, *words.against, ALL)}
    print(machine("torch-fidelity", "pytorch-fid", "clean-fid", "scipy"))
    with tempfile.TemporaryDirectory() as folder:
        images = Images.of(
            PreparedData.open(project.workspace()), words.images, weights.find(words.weights), Path(folder)
        )
        ways = {name: each.features(images) for name, each in chosen.items() if name != ALL}
        features = in_turn({name: lambda way=way: timed(way) for name, way in ways.items()}, words.rounds)
        runs = {name: lambda each=each: whole(each, images) for name, each in chosen.items()}
        found = in_turn(runs, words.rounds, itemgetter(0))
    show("features", features, words.images)
    for i, what in enumerate(("a first model", "a further model")):
        show(what, {name: [each[i] for each in results] for name, results in found.items()}, words.images)
    if words.rows:
        show("metrics of features", metrics(words.rows, words.rounds), words.rows)
    agreement({name: results[-1][2] for name, results in found.items()})


if __name__ == "__main__":
    main()
