"""A model served by `mlflow models serve`, with one worker."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc

from pipeline.models import storage
from pipeline.serving import pyfunc
from pipeline.system import dependencies

SERVE = (sys.executable, "-m", "mlflow", "models", "serve")
LOOK = 0.2
"""Seconds between two attempts to connect to a starting server."""
PATIENCE = 120
"""Seconds within which the server must answer."""


@contextlib.contextmanager
def served(model: Path) -> Iterator[http.client.HTTPConnection]:
    """Serve a model folder with the code of this checkout, and yield an unopened connection to it.

    Raises:
        RuntimeError: the server ended or did not answer in time; the message is its log.
    """
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
                time.sleep(LOOK)  # the server does not announce that it is up
            yield http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _is_up(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
