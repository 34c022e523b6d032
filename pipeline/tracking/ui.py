"""MLflow's UI, and the address of the most recent experiment in it."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

import mlflow

from pipeline.system.errors import UserError
from pipeline.tracking.store import connect, reaching

HOST = "127.0.0.1"
VIEW = "?workflowType=machine_learning"
"""Selects the UI's view of model training; the default is the view of conversations."""


def serve(port: int) -> NoReturn:
    """Print the address of the newest run's experiment, and replace this process with MLflow's UI.

    Raises:
        UserError: the port cannot be used.
    """
    client = connect()
    with reaching():
        places = [each.experiment_id for each in client.search_experiments()]
        newest = client.search_runs(places, max_results=1, order_by=["attributes.start_time DESC"])
    try:
        with socket.create_server((HOST, port)):
            pass
    except (OSError, OverflowError) as error:
        raise UserError(f"port {port} cannot be used ({error}); choose another, as in `make ui PORT=5001`") from error
    below = f"/{newest[0].info.experiment_id}/runs" if newest else ""
    sys.stdout.write(f"runs: http://{HOST}:{port}/#/experiments{below}{VIEW}\n")
    sys.stdout.flush()
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    words = ["mlflow", "ui", "--backend-store-uri", mlflow.get_tracking_uri(), "--host", HOST, "--port", str(port)]
    os.execve(Path(sys.executable).with_name("mlflow"), words, env)  # noqa: S606 - no shell is wanted
