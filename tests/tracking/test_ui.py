"""MLflow's UI as `make ui` serves it, with the real server."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import answers, wait_for

from pipeline.tracking.ui import VIEW

COMMAND = Path(sys.executable).with_name("pipeline")


@pytest.mark.slow
def test_the_printed_address_is_that_of_the_newest_experiment_on_the_chosen_port(place):
    with place.start():
        pass
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    process = subprocess.Popen(
        [COMMAND, "ui", "--port", str(port)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        line = process.stdout.readline()
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), 180, process, pause=0.5)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)
    experiment = place.client.get_experiment_by_name(place.source)
    assert line == f"runs: http://127.0.0.1:{port}/#/experiments/{experiment.experiment_id}/runs{VIEW}\n"


def test_a_port_that_is_taken_is_one_line(place):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run([COMMAND, "ui", "--port", str(port)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert f"port {port}" in done.stderr


@pytest.mark.parametrize(
    "first", ["pipeline.cli.main", "pipeline.registry.versions", "pipeline.serving.pyfunc", "pipeline.tracking"]
)
def test_no_module_that_imports_mlflow_first_has_its_usage_data_sent(first):
    # MLflow sends nothing from tests, so hide from this process that it is one
    env = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    asked = f"import {first}; from mlflow.telemetry.utils import is_telemetry_disabled as off; print(off())"
    done = subprocess.run([sys.executable, "-c", asked], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
