"""A training that goes on where it stopped."""

import csv
import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from trainings import (
    BATCH,
    EPOCHS,
    EVERY_EPOCH,
    EVERY_STEP,
    ITEMS,
    PER_EPOCH,
    RUNTIME,
    SETTINGS,
    End,
    StopAfter,
    Stopped,
    assert_same_bits,
    load,
    stopped,
    train,
)

from pipeline.data.batches import Batches
from pipeline.models.families import FAMILIES
from pipeline.models.families.base import OptimiserSettings
from pipeline.models.families.vae import Vae
from pipeline.params import TrainParams
from pipeline.system.errors import TrainingError
from pipeline.training.checkpoints import newest, saved, set_aside, steps
from pipeline.training.module import FamilyModule
from pipeline.training.trainer import fit


class StopWithin(pl.Callback):
    """Ends the training between an epoch's last step and its checkpoint."""

    def __init__(self, step):
        self.step = step

    def on_train_epoch_end(self, trainer, module):
        if module.done == self.step:
            raise Stopped


class Epochs(pl.Callback):
    """Hands over one metric at the end of every epoch."""

    def on_train_epoch_end(self, trainer, module):
        module.record([("val/done", float(module.done), module.done - 1)])


@pytest.fixture(scope="module")
def uninterrupted(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return {name: train(toy, name, folder / name)[1] for name in FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("step", [1, PER_EPOCH, PER_EPOCH + 1, EPOCHS * PER_EPOCH])
def test_a_training_that_was_stopped_and_resumed_has_the_same_bits(toy, tmp_path, uninterrupted, name, step):
    stopped(toy, name, tmp_path, step)
    assert load(tmp_path)["done"] == step
    game, weights = train(toy, name, tmp_path)
    assert game.done == EPOCHS * PER_EPOCH
    assert_same_bits(weights, uninterrupted[name])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_in_mixed_precision_that_was_stopped_and_resumed_has_the_same_bits(toy, tmp_path, name):
    _, whole = train(toy, name, tmp_path / "whole", precision="bf16-mixed")
    stopped(toy, name, tmp_path / "stopped", PER_EPOCH + 1, precision="bf16-mixed")
    assert_same_bits(train(toy, name, tmp_path / "stopped", precision="bf16-mixed")[1], whole)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_in_mixed_precision_keeps_its_weights_in_float32(toy, tmp_path, uninterrupted, name):
    _, mixed = train(toy, name, tmp_path, precision="bf16-mixed")
    assert {each.dtype for each in mixed.values()} == {torch.float32}
    moved = [key for key, each in mixed.items() if not torch.equal(each, uninterrupted[name][key])]
    assert moved, "it was not mixed"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_that_was_stopped_between_checkpoints_has_the_same_bits(toy, tmp_path, uninterrupted, name):
    stopped(toy, name, tmp_path, PER_EPOCH + 1, EVERY_EPOCH)
    assert load(tmp_path)["done"] == PER_EPOCH
    assert_same_bits(train(toy, name, tmp_path)[1], uninterrupted[name])


def test_a_training_that_was_stopped_again_and_again_has_the_same_bits(toy, tmp_path, uninterrupted):
    for step in (1, PER_EPOCH, PER_EPOCH + 1):
        stopped(toy, "vae", tmp_path, step)
    assert_same_bits(train(toy, "vae", tmp_path)[1], uninterrupted["vae"])


def test_the_curves_of_a_training_that_was_stopped_are_those_of_one_that_was_not(toy, tmp_path):
    found = {}
    stops = {
        "whole": None,
        "within an epoch": StopAfter(PER_EPOCH + 1),
        "after an epoch": StopAfter(PER_EPOCH),
        "before an epoch is scored": StopWithin(2 * PER_EPOCH),
        "before the last epoch is scored": StopWithin(EPOCHS * PER_EPOCH),
    }
    for name, stop in stops.items():
        checkpoints = tmp_path / f"checkpoints of {name}"
        if stop:
            with pytest.raises(Stopped):
                train(toy, "vae", checkpoints, EVERY_STEP, [stop, Epochs()])
        train(toy, "vae", checkpoints, callbacks=[Epochs()])[0].curves.write(tmp_path / name)
        found[name] = {path.stem: list(csv.reader(path.open())) for path in (tmp_path / name).rglob("*.csv")}
    assert found["whole"]["done"] == [["epoch", "value"], ["1", "2"], ["2", "4"], ["3", "6"]]
    assert [name for name in stops if found[name] != found["whole"]] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_leaves_the_global_generator_without_influence(toy, tmp_path, uninterrupted, name):
    torch.manual_seed(99)
    assert_same_bits(train(toy, name, tmp_path)[1], uninterrupted[name])


@pytest.mark.parametrize(("name", "player"), [("vae", "autoencoder"), ("gan", "critic"), ("gan", "generator")])
def test_a_loss_that_is_not_finite_stops_with_player_and_step_and_leaves_the_last_checkpoint(
    toy, tmp_path, name, player
):
    class Poison(pl.Callback):
        def on_train_batch_start(self, trainer, module, *_):
            if module.done == PER_EPOCH + 1:
                rest = [each for each in module.family.players if each != player]
                original = module.family.loss

                def loss(who, *words):
                    found = original(who, *words)
                    return found if who in rest else type(found)(found.total * float("nan"), found.terms)

                module.family.loss = loss

    with pytest.raises(TrainingError, match=rf"the loss of {player} is nan at step {PER_EPOCH + 1}"):
        train(toy, name, tmp_path, EVERY_STEP, [Poison()])
    left = load(tmp_path)
    assert left["done"] == PER_EPOCH + 1
    assert all(torch.isfinite(value).all() for value in left["state_dict"].values())


def test_a_learning_rate_that_diverges_is_found_out_by_itself(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(Vae, "optimiser", lambda self, player: OptimiserSettings(1e30))
    settings = TrainParams(epochs=20, batch_size=8, warmup_steps=0, cooldown=0.0, ema=0.0)
    with pytest.raises(TrainingError, match="the loss of autoencoder is"):
        train(toy, "vae", tmp_path, settings=settings)


def test_a_corrupt_newest_checkpoint_costs_some_steps_and_no_bit(toy, tmp_path, uninterrupted, capsys):
    stopped(toy, "vae", tmp_path, PER_EPOCH + 1)
    path = newest(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    set_aside(tmp_path)
    assert steps(newest(tmp_path)) == PER_EPOCH
    assert_same_bits(train(toy, "vae", tmp_path)[1], uninterrupted["vae"])
    assert path.name in capsys.readouterr().err


def test_a_training_without_a_whole_checkpoint_does_not_start_from_scratch(toy, tmp_path):
    stopped(toy, "vae", tmp_path, PER_EPOCH + 1)
    for path in saved(tmp_path):
        path.write_bytes(b"")
    for _ in range(2):
        with pytest.raises(TrainingError, match="none of its 2 checkpoints is whole"):
            train(toy, "vae", tmp_path)


def test_a_finished_training_that_is_run_again_has_the_same_bits_and_takes_no_step(toy, tmp_path, uninterrupted):
    train(toy, "vae", tmp_path)
    logged = []
    assert_same_bits(train(toy, "vae", tmp_path, log=logged.extend)[1], uninterrupted["vae"])
    assert logged == []


def test_every_step_has_a_checkpoint_where_they_are_due_at_once_and_every_epoch_where_they_never_are(toy, tmp_path):
    found = {EVERY_STEP: [], EVERY_EPOCH: []}
    for seconds, seen in found.items():
        folder = tmp_path / str(seconds)
        train(toy, "vae", folder, seconds, settled=lambda _, to=seen, folder=folder: to.append(steps(newest(folder))))
    assert found[EVERY_STEP] == list(range(1, EPOCHS * PER_EPOCH + 1))
    assert found[EVERY_EPOCH] == [PER_EPOCH * epoch for epoch in range(1, EPOCHS + 1)]


def test_what_is_settled_is_the_step_of_the_older_of_two_checkpoints(toy, tmp_path):
    found = []
    train(toy, "vae", tmp_path, EVERY_STEP, settled=found.append)
    assert found == [1, *range(1, EPOCHS * PER_EPOCH)]


@pytest.mark.parametrize("step", range(EPOCHS * PER_EPOCH + 1))
def test_no_metric_of_a_training_that_was_killed_is_missing(toy, tmp_path, step):
    logged = []
    stopped(toy, "vae", tmp_path, step, log=logged.extend)
    before = {(name, at) for name, _, at in logged}
    assert {at for _, at in before} >= set(range(load(tmp_path)["done"] if step else 0))
    train(toy, "vae", tmp_path, EVERY_STEP, log=logged.extend)
    assert sorted(at for name, at in {(name, at) for name, _, at in logged} if name == "train/loss") == list(
        range(EPOCHS * PER_EPOCH)
    )
    values = {}
    for name, value, at in logged:
        assert values.setdefault((name, at), value) == value, "logged twice, and differently"


def test_a_training_that_ends_before_its_last_step_is_no_success(toy, tmp_path):
    def stop(trainer):
        trainer.should_stop = True

    with pytest.raises(TrainingError, match=rf"training stopped at step \d of {EPOCHS * PER_EPOCH}; run it again"):
        train(toy, "vae", tmp_path, callbacks=[End(stop)])


def test_a_signal_during_training_is_answered_as_the_program_answers_it(toy, tmp_path, uninterrupted):
    def exit_at_once(number, _):
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, exit_at_once)
    try:
        with pytest.raises(SystemExit) as caught:
            train(toy, "vae", tmp_path, callbacks=[End(lambda _: os.kill(os.getpid(), signal.SIGTERM))])
        assert signal.getsignal(signal.SIGTERM) is exit_at_once
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 128 + signal.SIGTERM
    assert_same_bits(train(toy, "vae", tmp_path)[1], uninterrupted["vae"])


def test_a_checkpoint_that_cannot_be_written_ends_the_training_in_one_line(toy, tmp_path):
    stopped(toy, "vae", tmp_path, 1)
    (tmp_path / ".writing").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match="the checkpoint of step 2 cannot be written") as caught:
        train(toy, "vae", tmp_path, EVERY_STEP)
    assert "\n" not in str(caught.value)
    assert load(tmp_path)["done"] == 1


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has it")
def test_a_machine_that_lacks_what_is_asked_for_is_one_line(toy, tmp_path):
    game = FamilyModule(toy.family("vae"), SETTINGS, PER_EPOCH, 0)
    batches = Batches(toy.items(ITEMS), BATCH, 0, lambda: 0)
    with pytest.raises(TrainingError, match="runtime asks for what this machine has not"):
        fit(game, batches, RUNTIME.model_copy(update={"accelerator": "mps"}), tmp_path)
