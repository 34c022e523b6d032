"""The doctor's findings on DVC's default remote: available, missing, or silent."""

import http.server
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from clone import only

from pipeline.cli.doctor import dvc, reach


def test_a_repository_without_a_remote_is_well(clone):
    finding = only(dvc.remote(clone.root))
    assert finding.ok
    assert "dvc remote add -d" in finding.text


def test_a_remote_in_a_folder_passes_if_the_folder_exists(clone):
    store = clone.root.parent / "my store"
    clone(f"dvc remote add -d store '{store}'")
    missing = only(dvc.remote(clone.root))
    assert not missing.ok
    assert f"there is no folder {store}" in missing.text
    store.mkdir()
    assert only(dvc.remote(clone.root)).ok


@contextmanager
def server():
    """Serve an HTTP store without any files."""
    store = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    yield store.server_port
    store.shutdown()
    store.server_close()


def test_an_empty_http_remote_passes_and_its_password_is_not_shown(clone):
    with server() as port:
        clone(f"dvc remote add -d store http://me:secret@127.0.0.1:{port}/data")
        finding = only(dvc.remote(clone.root))
    assert finding.ok, finding
    assert finding.text == f"store (http://127.0.0.1:{port}/data) answers"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://127.0.0.1:9/data"])
def test_an_http_remote_that_is_down_is_not_taken_for_an_empty_one(clone, url):
    clone(f"dvc remote add -d store {url}")
    finding = only(dvc.remote(clone.root))
    assert not finding.ok
    assert "127.0.0.1:9" in finding.text
    assert "dvc remote modify store url URL" in finding.text


def test_a_silent_remote_does_not_keep_the_doctor_waiting(clone, monkeypatch):
    monkeypatch.setattr(reach, "PATIENCE", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        clone(f"dvc remote add -d store http://127.0.0.1:{silent.getsockname()[1]}/data")
        begun = time.monotonic()
        finding = only(dvc.remote(clone.root))
    assert time.monotonic() - begun < 5
    assert not finding.ok
    assert "no answer within 1 seconds" in finding.text


@pytest.mark.parametrize("wrong", ["[core]\n    remote = elsewhere\n", "[nonsense]\n    key = value\n"])
def test_a_remote_that_is_set_up_wrongly_is_one_finding(clone, wrong):
    (clone.root / ".dvc" / "config").write_text(wrong)
    finding = only(dvc.remote(clone.root))
    assert "DVC cannot use the default remote" in finding.text
    assert not finding.ok
