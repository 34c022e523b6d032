"""A training that two processes divide between them."""

import multiprocessing
import os
import signal
import socket

import pytest
import torch
from trainings import ITEMS, RUNTIME, SETTINGS, End, load, train

from pipeline.data.batches import Batches
from pipeline.models import families
from pipeline.models.families import FAMILIES
from pipeline.system.errors import TrainingError
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import fit

SERVER = multiprocessing.get_context("forkserver")  # autograd's threads do not live through a fork
SERVER.set_forkserver_preload(["pipeline.training.trainer", "pipeline.tracking"])
UNEVEN = SETTINGS.model_copy(update={"batch_size": 23, "epochs": 2})
"""The last batch of an epoch has one item, so that one of two processes has none."""


def take_part(rank, port, items, about, spec, folder, said, to_the_end):
    """Train as one of two processes, as torchrun would start them."""
    os.environ |= {
        "TORCHELASTIC_RUN_ID": "test",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
    }
    torch.set_num_threads(1)
    games, logged = [], []
    batches = Batches(items, UNEVEN.batch_size, 0, lambda: games[0].done)
    torch.manual_seed(0)
    games.append(FamilyModule(families.build(about.family, about.settings, spec), UNEVEN, len(batches), 0))
    games[0].log_metrics = logged.extend
    runtime = RUNTIME.model_copy(update={"devices": 2})
    leave = [] if to_the_end or rank == 0 else [End(lambda _: os.kill(os.getpid(), signal.SIGKILL))]
    try:
        weights = fit(games[0], batches, runtime, folder, leave).state_dict()
        found = logged, {key: value.numpy() for key, value in weights.items()}
    except TrainingError as error:
        found = str(error)
    if rank == 0:
        said.send(found)


def two(toy, name, folder, to_the_end=True):
    """Train with two processes, and return what the first of them said."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ours, theirs = SERVER.Pipe(duplex=False)
    words = toy.items(ITEMS), toy.about(name), toy.spec, folder, theirs, to_the_end
    members = [SERVER.Process(target=take_part, args=(rank, port, *words), daemon=True) for rank in range(2)]
    for member in members:
        member.start()
    theirs.close()
    found = ours.recv()
    for member in members:
        member.join(60)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_two_processes_train_as_one_does(toy, tmp_path, name):
    one = []
    _, weights = train(toy, name, tmp_path / "one", settings=UNEVEN, log=one.extend)
    logged, shared = two(toy, name, tmp_path / "two")
    assert [(each, step) for each, _, step in logged] == [(each, step) for each, _, step in one]
    assert [value for _, value, _ in logged] == pytest.approx([value for _, value, _ in one], rel=1e-5, abs=1e-6)
    for key, value in weights.items():
        torch.testing.assert_close(torch.from_numpy(shared[key]), value, rtol=0, atol=1e-4)


def test_a_training_of_two_processes_goes_on_in_one(toy, tmp_path):
    _, weights = train(toy, "vae", tmp_path / "one", settings=UNEVEN)
    two(toy, "vae", tmp_path / "two", to_the_end=False)
    assert 1 <= load(tmp_path / "two")["done"] < 4
    _, resumed = train(toy, "vae", tmp_path / "two", settings=UNEVEN)
    for key, value in weights.items():
        torch.testing.assert_close(resumed[key], value, rtol=0, atol=1e-4)


def test_a_training_that_lost_one_of_its_processes_is_one_line(toy, tmp_path):
    said = two(toy, "vae", tmp_path, to_the_end=False)
    assert "another process of this training ended" in said
    assert "\n" not in said
