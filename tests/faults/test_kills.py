"""Trainings that are killed at any moment resume to the same bits, in the same run, with each metric once."""

import random

import moments
import pytest
from trainer import Trainer, model, saved

FAMILIES = ["vae", "gan"]
SLOW = pytest.mark.slow
QUICK = (moments.checkpoint_half_written, moments.metrics_sent_but_not_recorded)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=SLOW) for seed in range(1, 18))])
def test_training_killed_at_a_random_moment_resumes_to_the_same_bits(fresh, is_whole, uninterrupted, family, seed):
    folder = fresh(family)
    trainer = Trainer(folder)
    trainer.process.join(random.Random(f"{family} {seed}").uniform(0, 1.1) * uninterrupted[family]["seconds"])
    trainer.process.kill()
    trainer.ends()
    assert Trainer(folder).ends() == 0
    is_whole(folder, family)


@pytest.mark.parametrize("family", ["vae", pytest.param("gan", marks=SLOW)])
@pytest.mark.parametrize(
    "moment",
    [each if each in QUICK else pytest.param(each, marks=SLOW) for each in moments.MOMENTS],
    ids=lambda moment: moment.__name__.replace("_", " "),
)
def test_training_killed_in_the_middle_of_a_write_resumes_to_the_same_bits(fresh, is_whole, family, moment):
    folder = fresh(family)
    trainer = Trainer(folder, moment)
    trainer.until_held()
    trainer.killed()
    (folder / "held").unlink()
    assert Trainer(folder).ends() == 0
    is_whole(folder, family)


@SLOW
@pytest.mark.parametrize("family", FAMILIES)
def test_training_killed_several_times_resumes_to_the_same_bits(fresh, is_whole, family):
    folder = fresh(family)
    for step in (1, 7, 10, 14, 21):
        trainer = Trainer(folder)
        trainer.until_step(step)
        trainer.killed()
        assert saved(folder)[0] >= step
    assert Trainer(folder).ends() == 0
    is_whole(folder, family)


@SLOW
@pytest.mark.parametrize("family", FAMILIES)
def test_killed_training_in_mixed_precision_resumes_to_the_same_bits(fresh, family):
    whole, cut = (fresh(family, runtime={"precision": "bf16-mixed"}) for _ in range(2))
    assert Trainer(whole).ends() == 0
    for step in (1, 10):
        trainer = Trainer(cut)
        trainer.until_step(step)
        trainer.killed()
    assert Trainer(cut).ends() == 0
    assert model(cut) == model(whole)
