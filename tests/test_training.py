import csv

import pytest
import pytorch_lightning as pl
import torch

from pipeline.batches import Batches
from pipeline.checkpoints import SafetensorsIO
from pipeline.errors import TrainingError
from pipeline.families import FAMILIES
from pipeline.params import RuntimeParams, TrainParams
from pipeline.training import Game, fit

ITEMS, BATCH, EPOCHS = 24, 16, 3
PER_EPOCH = 2
SETTINGS = TrainParams(epochs=EPOCHS, batch_size=BATCH, warmup_steps=2, cooldown=0.5, ema=0.9)
EVERY_STEP, EVERY_EPOCH = 1e-6, 86_400


class Stopped(BaseException):
    """What ends a process that is killed."""


class StopAfter(pl.Callback):
    """Ends the training, as a kill would, after a step and the checkpoint of that step, if one is due."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, module, *_):
        if module.done == self.step:
            raise Stopped

    def on_train_end(self, trainer, module):
        self.on_train_batch_start(trainer, module)


class StopWithin(pl.Callback):
    """Ends the training between an epoch's last step and its checkpoint."""

    def __init__(self, step):
        self.step = step

    def on_train_epoch_end(self, trainer, module):
        if module.done == self.step:
            raise Stopped


class Epochs(pl.Callback):
    """Hands over one figure at the end of every epoch."""

    def on_train_epoch_end(self, trainer, module):
        module.tell([("val/done", float(module.done), module.done - 1)])


def train(
    toy, name, checkpoint, seconds=EVERY_EPOCH, callbacks=(), settings=SETTINGS, log=lambda figures: None, **changes
):
    """Train a family, or go on from the checkpoint, and return the game and the averaged weights."""
    batches = Batches(toy.items(ITEMS), settings.batch_size, 0, lambda: game.done)
    game = Game(toy.family(name, **changes), settings, len(batches), 0, log)
    runtime = RuntimeParams(accelerator="cpu", devices=1, precision="32-true", checkpoint_seconds=seconds)
    return game, fit(game, batches, runtime, checkpoint, list(callbacks)).state_dict()


def stopped(toy, name, checkpoint, step, seconds=EVERY_STEP):
    with pytest.raises(Stopped):
        train(toy, name, checkpoint, seconds, [StopAfter(step)])


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.fixture(scope="module")
def uninterrupted(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    return {name: train(toy, name, folder / f"{name}.ckpt")[1] for name in FAMILIES}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("step", [1, PER_EPOCH, PER_EPOCH + 1, EPOCHS * PER_EPOCH])
def test_a_training_that_was_stopped_and_resumed_has_the_same_bits(toy, tmp_path, uninterrupted, name, step):
    checkpoint = tmp_path / "last.ckpt"
    stopped(toy, name, checkpoint, step)
    assert SafetensorsIO().load_checkpoint(checkpoint)["done"] == step
    game, weights = train(toy, name, checkpoint)
    assert game.done == EPOCHS * PER_EPOCH
    assert_same_bits(weights, uninterrupted[name])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_that_was_stopped_between_checkpoints_has_the_same_bits(toy, tmp_path, uninterrupted, name):
    checkpoint = tmp_path / "last.ckpt"
    stopped(toy, name, checkpoint, PER_EPOCH + 1, EVERY_EPOCH)
    assert SafetensorsIO().load_checkpoint(checkpoint)["done"] == PER_EPOCH
    assert_same_bits(train(toy, name, checkpoint)[1], uninterrupted[name])


def test_a_training_that_was_stopped_again_and_again_has_the_same_bits(toy, tmp_path, uninterrupted):
    for step in (1, PER_EPOCH, PER_EPOCH + 1):
        stopped(toy, "vae", tmp_path / "last.ckpt", step)
    assert_same_bits(train(toy, "vae", tmp_path / "last.ckpt")[1], uninterrupted["vae"])


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
        checkpoint = tmp_path / f"{name}.ckpt"
        if stop:
            with pytest.raises(Stopped):
                train(toy, "vae", checkpoint, EVERY_STEP, [stop, Epochs()])
        train(toy, "vae", checkpoint, callbacks=[Epochs()])[0].curves.write(tmp_path / name)
        found[name] = {path.stem: list(csv.reader(path.open())) for path in (tmp_path / name).rglob("*.csv")}
    assert found["whole"]["done"] == [["epoch", "value"], ["1", "2"], ["2", "4"], ["3", "6"]]
    assert [name for name in stops if found[name] != found["whole"]] == []


@pytest.mark.parametrize("name", FAMILIES)
def test_a_training_leaves_the_global_generator_without_influence(toy, tmp_path, uninterrupted, name):
    torch.manual_seed(99)
    assert_same_bits(train(toy, name, tmp_path / "last.ckpt")[1], uninterrupted[name])


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

    checkpoint = tmp_path / "last.ckpt"
    with pytest.raises(TrainingError, match=rf"the loss of {player} is nan at step {PER_EPOCH + 1}"):
        train(toy, name, checkpoint, EVERY_STEP, [Poison()])
    left = SafetensorsIO().load_checkpoint(checkpoint)
    assert left["done"] == PER_EPOCH + 1
    assert all(torch.isfinite(value).all() for value in left["state_dict"].values())


def test_a_learning_rate_that_diverges_is_found_out_by_itself(toy, tmp_path):
    settings = TrainParams(epochs=20, batch_size=8, warmup_steps=0, cooldown=0.0, ema=0.0)
    with pytest.raises(TrainingError, match="the loss of autoencoder is"):
        train(toy, "vae", tmp_path / "last.ckpt", settings=settings, learning_rate=1e30)


def test_the_average_follows_the_weights_by_its_decay(toy, tmp_path):
    seen = []

    class Watch(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append([next(each.parameters()).detach().clone() for each in (module.family, module.average)])

    train(toy, "vae", tmp_path / "last.ckpt", callbacks=[Watch()])
    average = next(toy.family("vae").parameters()).detach()
    for step, (weights, found) in enumerate(seen):
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weights
        torch.testing.assert_close(found, average)


def test_without_an_average_the_last_weights_are_kept(toy, tmp_path):
    game, weights = train(toy, "vae", tmp_path / "last.ckpt", settings=SETTINGS.model_copy(update={"ema": 0.0}))
    assert_same_bits(weights, game.family.state_dict())


def test_the_learning_rate_rises_stays_and_falls_to_zero(toy):
    settings = TrainParams(epochs=10, batch_size=BATCH, warmup_steps=5, cooldown=0.25, ema=0.9)
    game = Game(toy.family("vae"), settings, 4, 0, lambda figures: None)
    rates = []
    for step in range(40):
        game.done = step
        rates.append(game._schedule())
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:31] == [1.0] * 26
    assert rates[31:] == pytest.approx([(40 - step) / 10 for step in range(31, 40)])


def test_figures_of_every_step_are_handed_over_once(toy, tmp_path):
    found = []
    train(toy, "gan", tmp_path / "last.ckpt", log=found.extend)
    steps = [step for name, _, step in found if name == "train/generator_loss"]
    assert steps == list(range(EPOCHS * PER_EPOCH))
    assert {"train/generator_loss", "train/critic_loss"} <= {name for name, _, _ in found}


def test_every_player_moves_only_by_its_own_loss(toy, tmp_path):
    asked = []

    class Look(pl.Callback):
        def on_train_start(self, trainer, module):
            original = module.family.loss

            def loss(player, *words):
                free = {name.partition(".")[0] for name, w in module.family.named_parameters() if w.requires_grad}
                asked.append((player, free))
                return original(player, *words)

            module.family.loss = loss

    game, _ = train(toy, "gan", tmp_path / "last.ckpt", callbacks=[Look()])
    assert asked[:2] == [(player, {player}) for player in game.family.players]
    assert all(weight.requires_grad for weight in game.family.parameters())
