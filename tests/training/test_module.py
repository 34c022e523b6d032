import copy

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from pipeline.data.batches import Batches
from pipeline.params import RuntimeParams, TrainParams
from pipeline.system.errors import TrainingError
from pipeline.training.curves import Curves
from pipeline.training.module import FLUSH, FamilyModule
from pipeline.training.trainer import fit

ITEMS, BATCH, EPOCHS, PER_EPOCH = 24, 16, 3, 2
SETTINGS = TrainParams(epochs=EPOCHS, batch_size=BATCH, warmup_steps=2, cooldown=0.5, ema=0.9)
RUNTIME = RuntimeParams(accelerator="cpu", devices=1, nodes=1, precision="32-true", checkpoint_seconds=86_400)


def play(toy, name, folder, callbacks=(), settings=SETTINGS, log=None):
    """Play the game of a family to its end, and return it."""
    batches = Batches(toy.items(ITEMS), settings.batch_size, 0, lambda: game.done)
    game = FamilyModule(toy.family(name), settings, len(batches), 0)
    game.log_metrics = log
    fit(game, batches, RUNTIME, folder, list(callbacks))
    return game


def test_the_average_follows_the_weights_by_its_decay(toy, tmp_path):
    seen = []

    class Validation(pl.Callback):
        def on_train_batch_end(self, trainer, module, *_):
            seen.append([next(each.parameters()).detach().clone() for each in (module.family, module.average)])

    play(toy, "vae", tmp_path, [Validation()])
    average = next(toy.family("vae").parameters()).detach()
    for step, (weights, found) in enumerate(seen):
        decay = min(0.9, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weights
        torch.testing.assert_close(found, average)


def test_without_an_average_the_last_weights_are_kept(toy, tmp_path):
    game = play(toy, "vae", tmp_path, settings=SETTINGS.model_copy(update={"ema": 0.0}))
    ours, theirs = game.average.state_dict(), game.family.state_dict()
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


def test_the_average_has_the_buffers_that_the_weights_have_after_each_step(toy, tmp_path):
    class Count(pl.Callback):
        def on_train_batch_start(self, trainer, module, *_):
            module.family.prior.means += 1

    game = play(toy, "vae", tmp_path, [Count()])
    assert torch.equal(game.average.prior.means, toy.family("vae").prior.means + EPOCHS * PER_EPOCH)


def test_the_learning_rate_rises_stays_and_falls_to_zero(toy):
    settings = TrainParams(epochs=10, batch_size=BATCH, warmup_steps=5, cooldown=0.25, ema=0.9)
    game = FamilyModule(toy.family("vae"), settings, 4, 0)
    rates = []
    for step in range(40):
        game.done = step
        rates.append(game._schedule())
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[5:31] == [1.0] * 26
    assert rates[31:] == pytest.approx([(40 - step) / 10 for step in range(31, 40)])


def test_metrics_of_every_step_are_handed_over_once(toy, tmp_path):
    found = []
    play(toy, "gan", tmp_path, log=found.extend)
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

    game = play(toy, "gan", tmp_path, [Look()])
    assert asked[:2] == [(player, {player}) for player in game.family.players]
    assert all(weight.requires_grad for weight in game.family.parameters())


def test_a_family_gets_items_scaled_and_the_labels_of_its_batch(toy, tmp_path):
    items, seen = toy.items(ITEMS), []

    class Look(pl.Callback):
        def on_train_start(self, trainer, module):
            original = module.family.loss

            def loss(player, batch, *words):
                seen.append(batch)
                return original(player, batch, *words)

            module.family.loss = loss

    settings = SETTINGS.model_copy(update={"epochs": 1})
    batches = Batches(items, BATCH, 0, lambda: game.done, np.arange(ITEMS, dtype=np.int32))
    game = FamilyModule(toy.family("vae"), settings, len(batches), 0)
    fit(game, batches, RUNTIME, tmp_path, [Look()])
    found = {int(label): x for batch in seen for x, label in zip(batch.items, batch.labels, strict=True)}
    assert sorted(found) == list(range(ITEMS))
    assert all(torch.equal(x, toy.spec.scale(torch.from_numpy(items[i : i + 1]))[0]) for i, x in found.items())


def test_metrics_are_handed_over_in_time_and_in_order(toy, tmp_path):
    settings, calls = SETTINGS.model_copy(update={"epochs": 1, "batch_size": 1}), []

    class More(Batches):
        def __len__(self):
            return 2 * FLUSH + 3

        def __iter__(self):
            batches = Batches(self.array, 1, 0, lambda: 0)
            shares = list(batches)
            return (shares[i % len(shares)] for i in range(len(self)))

    batches = More(toy.items(ITEMS), 1, 0, lambda: 0)
    game = FamilyModule(toy.family("vae"), settings, len(batches), 0)
    game.log_metrics = calls.append
    fit(game, batches, RUNTIME, tmp_path)
    steps = [[step for name, _, step in call if name == "train/loss"] for call in calls]
    assert steps == [list(range(FLUSH)), list(range(FLUSH, 2 * FLUSH)), list(range(2 * FLUSH, 2 * FLUSH + 3))]


def test_metrics_without_anyone_who_logs_them_reach_the_curves(toy):
    game = FamilyModule(toy.family("vae"), SETTINGS, PER_EPOCH, 0)
    game.record([("val/elbo", -3.0, 1)])
    assert game.curves.state() == {"val/elbo": {0: (-3.0, 1)}}


def test_one_module_logs_nothing_of_another(toy):
    logged, (one, other) = [], (FamilyModule(toy.family("vae"), SETTINGS, PER_EPOCH, 0) for _ in range(2))
    one.log_metrics = logged.extend
    other.record([("val/elbo", -3.0, 1)])
    assert logged == []
    assert one.curves.state() == {}


def test_a_saved_game_goes_on_from_its_step_and_with_its_curves(toy):
    one, other = (FamilyModule(toy.family("vae"), SETTINGS, PER_EPOCH, 0) for _ in range(2))
    one.done = 5
    one.record([("val/elbo", -3.0, 1)])
    checkpoint = {}
    one.on_save_checkpoint(checkpoint)
    kept = copy.deepcopy(checkpoint)
    one.record([("val/elbo", -5.0, 1)])
    assert checkpoint == kept
    other.on_load_checkpoint(checkpoint)
    assert other.done == 5
    assert isinstance(other.curves, Curves)
    assert other.curves.state() == {"val/elbo": {0: (-3.0, 1)}}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_averaged_weights_that_are_not_finite_are_refused_with_the_step(toy, value):
    game = FamilyModule(toy.family("gan"), SETTINGS, PER_EPOCH, 0)
    game.done = 7
    game.check()
    with torch.no_grad():
        list(game.average.parameters())[-1].view(-1)[0] = value
    with pytest.raises(TrainingError, match="weights are not finite at step 7") as caught:
        game.check()
    assert "\n" not in str(caught.value)


def test_the_average_takes_no_gradients_and_is_no_second_name_of_the_weights(toy):
    game = FamilyModule(toy.family("vae"), SETTINGS, PER_EPOCH, 0)
    assert not any(weight.requires_grad for weight in game.average.parameters())
    ours, theirs = next(game.average.parameters()), next(game.family.parameters())
    assert torch.equal(ours, theirs)
    assert ours.data_ptr() != theirs.data_ptr()
