"""A real MLflow server behind a proxy in which a test can cause faults."""

import http.client
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from waiting import answers, wait_for

SLOW = 40
"""Latency of a slow server in seconds, longer than the timeout of any client."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Server:
    """MLflow's server; while `fault` is set, the proxy in front of it is down, slow, or answers 500."""

    def __init__(self, folder, env):
        self.database, self.fault, self.port = folder / "mlflow.db", None, free_port()
        words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--backend-store-uri", f"sqlite:///{self.database}", "--workers", "1"]
        words += ["--artifacts-destination", str(folder / "artifacts")]
        self.log = (folder / "server.log").open("w")
        env = env | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(words, cwd=folder, env=env, stdout=self.log, stderr=self.log)
        wait_for(
            lambda: answers(f"http://127.0.0.1:{self.port}/health"),
            120,
            self.process,
            (folder / "server.log").read_text,
        )
        self.proxy = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.proxy.daemon_threads = True
        threading.Thread(target=self.proxy.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.proxy.server_port}"

    def close(self):
        self.proxy.shutdown()
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def _handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                if server.fault == "down":
                    self.close_connection = True
                    return
                super().handle_one_request()

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if server.fault == "slow":
                    time.sleep(SLOW)
                if server.fault:
                    self.send_error(500, "a fault of the test")
                    return
                inner = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                inner.request(self.command, self.path, body, headers)
                answer = inner.getresponse()
                data = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                inner.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on  # noqa: N815

            def log_message(self, *words):
                pass

        return Handler
