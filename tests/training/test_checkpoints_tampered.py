"""Checkpoints that something changed, digests and all: no training goes on from one, and one line names it and why."""

import json
import math
import re
from typing import Any

import pytest
from safetensors.torch import save
from trainings import BATCH, ITEMS, SETTINGS, stopped, train

from pipeline.data.batches import Batches
from pipeline.models.families import FAMILIES
from pipeline.system.errors import TrainingError
from pipeline.training import checkpoints
from pipeline.training.checkpoint_io import TREE, SafetensorsIO, _pack
from pipeline.training.module import FamilyModule

STEP = 3
WEIGHTS = {"vae": "family.autoencoder.decoder.0.bias", "gan": "family.generator.decoder.0.bias"}


@pytest.fixture(scope="module", params=FAMILIES)
def begun(request, toy, tmp_path_factory):
    """A training that was cut off: its family, and the folder of its checkpoints."""
    folder = tmp_path_factory.mktemp("begun")
    stopped(toy, request.param, folder, STEP)
    return request.param, folder


def game(toy, name):
    steps = len(Batches(toy.items(ITEMS), BATCH, 0, lambda: 0))
    return FamilyModule(toy.family(name), SETTINGS, steps, 0)


def planted(folder, tree, step=STEP):
    """Write a tree as a whole checkpoint, and return its file."""
    tensors = {}
    text = json.dumps(_pack(tree, tensors))
    checkpoints.add(folder, step, save(tensors, {TREE: text}))
    return checkpoints.newest(folder)


def put(tree, place, change):
    """Change what is at a place of a tree, whose keys are divided by slashes."""
    *above, last = (int(key) if key.isdigit() else key for key in place.split("/"))
    for key in above:
        tree = tree[key]
    if change is ...:
        del tree[last]
    else:
        tree[last] = change(tree[last]) if callable(change) else change


CHANGES: list[tuple[str, Any, str]] = [
    *((name, ..., f"{name} is missing") for name in ("state_dict", "optimizer_states", "loops", "done", "curves")),
    *(
        (name, None, f"{name} is None")
        for name in ("state_dict", "optimizer_states", "lr_schedulers", "done", "curves")
    ),
    *((name, 7, f"{name} is 7") for name in ("state_dict", "optimizer_states", "loops", "callbacks", "curves")),
    ("pytorch-lightning_version", ..., "pytorch-lightning_version is missing"),
    ("pytorch-lightning_version", "new", "pytorch-lightning_version is 'new'"),
    ("done", -1, "done is -1, of 6 steps"),
    ("done", 99, "done is 99, of 6 steps"),
    ("done", STEP - 1, "it is of step 2"),
    ("done", 10**4000, "done is 1"),
    ("done", "3", "done is '3'"),
    ("curves", {"train/loss": {0: "x"}}, "curves.train/loss.0 is 'x'"),
    ("state_dict/WEIGHT", lambda found: found * math.nan, "WEIGHT has values that are not finite"),
    ("state_dict/WEIGHT", lambda found: found.int(), "WEIGHT is int32"),
    ("state_dict/WEIGHT", lambda found: found[None], "WEIGHT is float32 of the shape (1, "),
    ("state_dict/WEIGHT", "x", "WEIGHT is 'x'"),
    ("state_dict/WEIGHT", ..., "WEIGHT is not there"),
    ("optimizer_states", [], "shorter"),
    ("optimizer_states/0/state/0/exp_avg", lambda found: found[:1], "exp_avg is float32 of the shape (1,"),
    ("optimizer_states/0/state/0/exp_avg", lambda found: found * math.inf, "exp_avg has values that are not finite"),
    ("optimizer_states/0/state/0/exp_avg_sq", ..., "exp_avg_sq is not there"),
    ("optimizer_states/0/state/0/step", "x", "step is 'x'"),
]


@pytest.mark.parametrize(("place", "change", "said"), CHANGES)
def test_a_checkpoint_of_no_training_is_refused_by_what_is_wrong(toy, begun, tmp_path, place, change, said):
    name, folder = begun
    tree = SafetensorsIO().load_checkpoint(checkpoints.newest(folder))
    put(tree, place.replace("WEIGHT", WEIGHTS[name]), change)
    path = planted(tmp_path, tree)
    with pytest.raises(TrainingError, match=re.escape(said.replace("WEIGHT", WEIGHTS[name]))) as caught:
        SafetensorsIO(game(toy, name).hold).load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert "remove it to resume from the one before" in str(caught.value)


@pytest.mark.parametrize("tree", [[1], {}, {"done": STEP}, None])
def test_a_tree_of_another_kind_is_refused(toy, tmp_path, tree):
    path = planted(tmp_path, tree)
    with pytest.raises(TrainingError, match="not a checkpoint"):
        SafetensorsIO(game(toy, "vae").hold).load_checkpoint(path)


def test_a_checkpoint_as_it_was_written_is_taken(toy, begun):
    name, folder = begun
    found = SafetensorsIO(game(toy, name).hold).load_checkpoint(checkpoints.newest(folder))
    assert found["done"] == STEP


def test_a_training_does_not_go_on_from_one_and_goes_on_once_it_is_removed(toy, tmp_path):
    stopped(toy, "vae", tmp_path, STEP)
    tree = SafetensorsIO().load_checkpoint(checkpoints.newest(tmp_path))
    tree["optimizer_states"][0]["state"][0]["exp_avg"] *= math.nan
    path = planted(tmp_path, {**tree, "done": STEP + 1}, STEP + 1)
    with pytest.raises(TrainingError, match=re.escape(str(path))):
        train(toy, "vae", tmp_path)
    path.unlink()
    assert train(toy, "vae", tmp_path)[0].done == 6
