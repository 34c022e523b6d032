"""Serving: latency and samples a second through `mlflow models serve`, and what of it is whose.

A model is saved as a version is, served by MLflow's own server with one worker, and asked for n samples, each time over
a connection of its own, as curl does. Beside each answer the same is done in this process, part by part: the network's
samples, the content's own encoding (nothing for an array, PNG and base64 for png), and the JSON of MLflow's server; the
rest of the answer is HTTP and reading the request. The model is one of params.yaml that was never trained, or --model.
python benchmarks/serving.py [--model model] [--rounds 5] [--sizes 1 16 256]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow.pyfunc.scoring_server import predictions_to_json
from turns import Spread, in_turn, machine, ratios

from pipeline import contents
from pipeline.models import families, storage
from pipeline.models.saved import SavedModel
from pipeline.params import Params
from pipeline.serving import pyfunc, sampler
from pipeline.system import dependencies, project

SERVE = (sys.executable, "-m", "mlflow", "models", "serve")
LOOK = 0.2
"""Seconds between two looks at a server that says nothing when it is up."""
PATIENCE = 120
"""Seconds until the server must answer."""
REPEATS = 8
"""Answers to a turn, of which the median counts."""


def untrained(folder: Path, params: Params) -> None:
    """Save a model of the params, its weights as they are before training."""
    content = contents.build(params.content, params.content_section.model_dump(), {})
    settings = params.family_section.model_dump()
    sections = {params.family: settings, params.content: params.content_section.model_dump(), "seed": 0}
    folder.mkdir()
    about = SavedModel(params.family, params.content, sections, "0" * 64)
    storage.save(folder, families.build(params.family, settings, content.spec), about)


@contextlib.contextmanager
def served(model: Path) -> Iterator[http.client.HTTPConnection]:
    """Serve a model folder with the code of this checkout, and yield a connection to it, to be opened."""
    with tempfile.TemporaryDirectory() as temporary, socket.socket() as free:
        saved = Path(temporary) / "version"
        mlflow.pyfunc.save_model(
            saved,
            loader_module=pyfunc.__name__,
            data_path=str(model),
            code_paths=[str(dependencies.ROOT / dependencies.PACKAGE)],
            signature=pyfunc.signature(storage.load(model).content),
            input_example=pyfunc.INPUT_EXAMPLE,
            pip_requirements=[],
        )
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        words = [*SERVE, "-m", str(saved), "--env-manager", "local", "-p", str(port)]
        with (Path(temporary) / "log").open("w") as log:
            server = subprocess.Popen(words, cwd=temporary, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + PATIENCE
            while not _is_up(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((Path(temporary) / "log").read_text())
                time.sleep(LOOK)
            yield http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def parts(
    model: storage.Model, connection: http.client.HTTPConnection, n: int, form: str
) -> dict[str, Callable[[], float]]:
    """Return what measures the median seconds of an answer of n samples, and of each part of it in this process."""
    stored = model.sample(n, 0)
    body = json.dumps({"inputs": [], "params": {"n": n, "seed": 0, "format": form}})
    raws = model.content.decode(stored)
    values = model.content.serialise(raws, form)

    def answer() -> Any:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        said = connection.getresponse()
        found = said.read()
        connection.close()
        if said.status != 200:
            raise RuntimeError(found.decode())

    return {
        "answer": lambda: _median(answer),
        "network": lambda: _median(lambda: model.sample(n, 0)),
        "encoding": lambda: _median(lambda: model.content.serialise(model.content.decode(stored), form)),
        "JSON": lambda: _median(lambda: predictions_to_json(values, StringIO())),
    }


def shares(found: dict[str, list[float]], n: int) -> str:
    """Return a row of a table: latency, samples a second, and the share of each part in the answer."""
    latency = Spread.of(found["answer"])
    part = {name: ratios(found[name], found["answer"]).median for name in ("network", "encoding", "JSON")}
    part["HTTP and the rest"] = 1 - sum(part.values())
    said = " | ".join(f"{share:.0%}" for share in part.values())
    milliseconds = Spread(*(1e3 * each for each in latency))
    return f"{milliseconds} ms | {n / latency.median:.0f} | {said}"


def main() -> None:
    """Measure each size and format, and print a table."""
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
    print("| format | n | latency | samples a second | network | encoding | JSON | HTTP and the rest |")
    print("\n".join(rows))


def _is_up(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def _median(thing: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        thing()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
