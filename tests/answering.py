"""A registered version served by `mlflow models serve`, and requests to it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import psutil
from waiting import answers, wait_for

PATIENCE = 120


@contextlib.contextmanager
def answering(folder, uri, env):
    """Serve the model of a URI, and yield the address for requests."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = ["mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "-p", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping"), PATIENCE, process, (folder / "log").read_text)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        os.killpg(process.pid, signal.SIGTERM)
        for left in psutil.wait_procs(family, timeout=30)[1]:
            left.kill()
        process.wait(30)


def ask(url, body, kind="application/json"):
    """Send a request, and return the status with the predictions, or with the error message."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]
