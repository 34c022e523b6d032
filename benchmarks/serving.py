"""Serving: latency and throughput of `mlflow models serve`, and the share of each part in an answer.

A model is saved as a registered version is, served by MLflow's own server with one worker, and asked for n samples,
over a new connection each time, as curl does. The parts are timed in this process: the network's samples, the
encoding (nothing for an array, PNG and base64 for png), and the JSON of MLflow's server; the rest of the latency is
HTTP and reading the request. Without --model the model is an untrained one of params.yaml.
python benchmarks/serving.py [--model model] [--rounds 5] [--sizes 1 16 256]
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from library.server import served
from library.turns import Spread, in_turn, machine, ratios
from mlflow.pyfunc.scoring_server import predictions_to_json

from pipeline import contents
from pipeline.models import families, storage
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.serving import sampler
from pipeline.system import project

REPEATS = 8
"""Answers in a round, of which the median counts."""


def untrained(folder: Path, params: Params) -> None:
    """Save an untrained model of the params."""
    content = contents.build(params.content, params.content_section.model_dump(), {})
    settings = params.family_section.model_dump()
    folder.mkdir()
    about = SavedModel(params.family, params.content, params.of_model, "0" * 64)
    storage.save(folder, families.build(params.family, settings, content.spec), about)


def parts(
    model: storage.Model, connection: http.client.HTTPConnection, n: int, form: str
) -> dict[str, Callable[[], float]]:
    """Return functions that measure the median seconds of an answer of n samples, and of each part in this process."""
    stored = model.sample(n, 0)
    body = json.dumps({"inputs": [], "params": {"n": n, "seed": 0, "format": form}})
    raws = model.content.decode(stored)
    values = model.content.serialise(raws, form)

    def answer() -> Any:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        found = response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(found.decode())

    return {
        "answer": lambda: _median(answer),
        "network": lambda: _median(lambda: model.sample(n, 0)),
        "encoding": lambda: _median(lambda: model.content.serialise(model.content.decode(stored), form)),
        "JSON": lambda: _median(lambda: predictions_to_json(values, StringIO())),
    }


def shares(found: dict[str, list[float]], n: int) -> str:
    """Return cells of a table: latency, throughput, and the share of each part in the latency."""
    latency = Spread.of(found["answer"])
    part = {name: ratios(found[name], found["answer"]).median for name in ("network", "encoding", "JSON")}
    part["HTTP and the rest"] = 1 - sum(part.values())
    cells = " | ".join(f"{share:.0%}" for share in part.values())
    return f"{latency.times(1e3)} ms | {n / latency.median:.0f} | {cells}"


def main() -> None:
    """Measure each size in each format, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a model folder, such as model/ of a workspace")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 16, sampler.MOST])
    words = parser.parse_args()
    print(machine("mlflow"))
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = words.model or Path(temporary) / "model"
        if not words.model:
            untrained(folder, Params.load(project.workspace()))
        model = storage.load(folder)
        with served(folder) as connection:
            for form in model.content.formats:
                for n in words.sizes:
                    found = in_turn(parts(model, connection, n, form), words.rounds)
                    rows.append(f"| {form} | {n} | {shares(found, n)} |")
    print("| format | n | latency | samples/s | network | encoding | JSON | HTTP and the rest |")
    print("\n".join(rows))


def _median(thing: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        thing()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
