import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel, RegisteredModelTag

from pipeline.registry import ledger
from pipeline.registry.ledger import Entry
from pipeline.system.errors import ArtifactError

NAME = "clothes"
FIRST = Entry("promotion", None, "1", None, "promoted", "the first")
SECOND = Entry("promotion", "1", "2", "1", "promoted", "it is better", "abc", {"ssim": [1, 2, 0.5, 1.5, "better"]})


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A registry with three versions and no aliases."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    client = MlflowClient(uri, uri)
    client.create_registered_model(NAME)
    for _ in range(3):
        client.create_model_version(NAME, "somewhere", None)
    return uri


@pytest.fixture
def client(empty, tmp_path):
    shutil.copyfile(empty.removeprefix("sqlite:///"), tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def test_a_move_sets_the_aliases_and_is_recorded(client):
    ledger.move(client, NAME, FIRST)
    assert ledger.aliases(client, NAME) == {"champion": "1"}
    ledger.move(client, NAME, SECOND)
    assert ledger.aliases(client, NAME) == {"champion": "2", "previous": "1"}
    assert ledger.entries(client, NAME) == [FIRST, SECOND]


def test_entries_keep_their_order_beyond_ten(client):
    moves = [replace(SECOND, reason=str(i)) for i in range(12)]
    for move in moves:
        ledger.move(client, NAME, move)
    assert ledger.entries(client, NAME) == moves


def test_an_entry_records_who_and_when():
    entry = Entry("rollback", "2", "1", "2", "", "it was wrong")
    assert "@" in entry.who
    assert entry.when.endswith("+00:00")


def test_nothing_is_finished_where_nothing_was_interrupted(client):
    assert ledger.finish(client, NAME) is None
    ledger.move(client, NAME, FIRST)
    assert ledger.finish(client, NAME) is None


def test_an_alias_that_a_person_moved_by_hand_stays_there(client):
    ledger.move(client, NAME, FIRST)
    client.set_registered_model_alias(NAME, "champion", "3")
    assert ledger.finish(client, NAME) is None
    assert ledger.aliases(client, NAME)["champion"] == "3"


KILLED = """
import os, signal, sys
from mlflow import MlflowClient
from pipeline.registry import ledger
uri, name, at, *words = sys.argv[1:]
steps = [0]
def counted(function):
    def run(*words, **named):
        if steps[0] == int(at):
            os.kill(os.getpid(), signal.SIGKILL)
        steps[0] += 1
        return function(*words, **named)
    return run
for method in ("set_registered_model_tag", "set_registered_model_alias"):
    setattr(MlflowClient, method, counted(getattr(MlflowClient, method)))
ledger.move(MlflowClient(uri, uri), name, ledger.Entry("promotion", "1", "2", "1", "promoted", "it is better"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_promotion_that_was_killed_before_any_of_its_steps_loses_no_alias_and_is_finished_once(client, at):
    ledger.move(client, NAME, FIRST)
    uri = client.tracking_uri
    done = subprocess.run([sys.executable, "-c", KILLED, uri, NAME, str(at)], env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    assert ledger.aliases(client, NAME)["champion"] in ("1", "2")
    finished = ledger.finish(client, NAME)
    # a move that was killed before it was recorded never happened
    assert (finished is None) == (at == 0)
    expected = {"champion": "1"} if at == 0 else {"champion": "2", "previous": "1"}
    assert ledger.aliases(client, NAME) == expected
    assert len(ledger.entries(client, NAME)) == (1 if at == 0 else 2)
    assert ledger.finish(client, NAME) is None


@pytest.mark.parametrize("text", ["{}", "[]", '"x"', "", "[" * 100_000, '{"what": "party"}'])
def test_an_invalid_entry_is_one_line_that_names_it(text):
    entry = RegisteredModel(NAME, tags=[RegisteredModelTag(f"{ledger.ENTRY}000001", text)])
    with pytest.raises(ArtifactError, match=r"tag ledger\.000001 of clothes: cannot be read") as caught:
        ledger._entries(entry)
    assert "\n" not in str(caught.value)
