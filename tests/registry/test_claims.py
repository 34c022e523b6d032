"""Mutual exclusion of real processes on one registered model."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from mlflow import MlflowClient

from pipeline.registry import claims
from pipeline.system.errors import ArtifactError, TrackingError

NAME = "clothes"
COUNT = """
import os, signal, sys, time
from mlflow import MlflowClient
from pipeline.registry import claims
uri, name, at, others = sys.argv[1:]
client = MlflowClient(uri, uri)
claims.PAUSE, claims.TRIES = 0.2, 200
client.set_registered_model_tag(name, f"ready.{os.getpid()}", "")
while sum(tag.startswith("ready.") for tag in client.get_registered_model(name).tags) <= int(others):
    time.sleep(0.01)
for _ in range(6):
    with claims.alone(client, name):
        count = int(client.get_registered_model(name).tags["count"])
        if at == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        client.set_registered_model_tag(name, "count", str(count + 1))
"""


@pytest.fixture(scope="module")
def uri(tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    MlflowClient(uri, uri).create_registered_model(NAME)
    return uri


@pytest.fixture
def client(uri):
    client = MlflowClient(uri, uri)
    yield client
    for key in left(client):
        client.delete_registered_model_tag(NAME, key)


def left(client):
    return [key for key in client.get_registered_model(NAME).tags if key.startswith(claims.CLAIM)]


def claim(client, host, made):
    text = json.dumps({"host": host, "pid": 1, "started": 0.0, "made": made})
    client.set_registered_model_tag(NAME, f"{claims.CLAIM}theirs", text)


def begin(uri, at="count", others=0):
    return subprocess.Popen([sys.executable, "-c", COUNT, uri, NAME, at, str(others)], start_new_session=True)


def test_no_change_is_lost_where_processes_change_the_same_thing(client, uri):
    client.set_registered_model_tag(NAME, "count", "0")
    each = [begin(uri, others=1) for _ in range(2)]
    assert [process.wait(120) for process in each] == [0, 0]
    assert client.get_registered_model(NAME).tags["count"] == "12"
    assert left(client) == []


def test_the_claim_of_a_killed_process_blocks_nobody(client, uri):
    client.set_registered_model_tag(NAME, "count", "0")
    assert begin(uri, "kill").wait(60) == -signal.SIGKILL
    assert len(left(client)) == 1
    with claims.alone(client, NAME):
        assert len(left(client)) == 1
    assert left(client) == []


def test_a_claim_of_another_machine_holds_for_some_time(client, monkeypatch):
    monkeypatch.setattr(claims, "PAUSE", 0.01)
    claim(client, "elsewhere", time.time())
    with pytest.raises(TrackingError, match=r"process 1 on elsewhere .* run it again"), claims.alone(client, NAME):
        pytest.fail("two processes hold the model")
    claim(client, "elsewhere", time.time() - claims.LIFE)
    with claims.alone(client, NAME):
        assert len(left(client)) == 1


def test_an_error_leaves_no_claim(client):
    with pytest.raises(ZeroDivisionError), claims.alone(client, NAME):
        os.getpid() / 0
    assert left(client) == []


@pytest.mark.parametrize("text", ["{}", "[]", '"x"', "no JSON", '{"host": "elsewhere", "pid": 1, "started": 0.0}'])
def test_an_invalid_claim_is_one_line_that_names_it(client, text):
    client.set_registered_model_tag(NAME, f"{claims.CLAIM}theirs", text)
    with pytest.raises(ArtifactError, match=r"claim\.theirs of clothes: .*delete it"), claims.alone(client, NAME):
        pytest.fail("the claim was ignored")
    assert left(client) == [f"{claims.CLAIM}theirs"]
