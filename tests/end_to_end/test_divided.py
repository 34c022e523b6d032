"""A training and an evaluation by several processes."""

import signal

import pytest
from workspace import (
    STEPS,
    TRAIN,
    digests,
    do,
    edit,
    furthest,
    history,
    own_copy,
    read,
    run_id,
    runs,
    train_and_stop,
)

TWO = {"runtime.devices": 2}
LOSSES = {"vae": ["train/loss"], "gan": ["train/critic_loss", "train/generator_loss"]}


def assert_same_losses(folder, run, other_folder, other, family):
    """Check that two runs have the same losses over an epoch, each step once."""
    for name in LOSSES[family]:
        ours, theirs = history(folder, run, name), history(other_folder, other, name)
        assert [step for step, _ in ours] == list(range(STEPS))
        # a hinge loss is the remainder of a margin of 1, so rounding errors are relative to 1
        assert dict(ours) == pytest.approx(dict(theirs), rel=1e-5, abs=1e-6 if family == "gan" else 0)


def test_two_processes_make_the_model_of_one_in_one_run(vae, copy):
    edit(copy, TWO)
    do(copy, *TRAIN)
    (run,) = runs(copy)
    assert run.info.status == "FINISHED"
    assert run.data.tags["runtime.devices"] == "2"
    assert furthest(copy / "model", vae / "model") < 1e-4
    assert_same_losses(copy, run.info.run_id, vae, run_id(vae), "vae")
    assert [step for step, _ in history(copy, run.info.run_id, "val/elbo")] == [STEPS - 1]


@pytest.mark.slow
@pytest.mark.parametrize("family", LOSSES)
def test_pipeline_of_two_processes_makes_what_one_makes(vae, toggled, store, tmp_path, family):
    # without --no-run-cache DVC would restore the outs of the experiment
    made = own_copy(vae, store, tmp_path)
    edit(made, TWO | {"family": family})
    do(made, "dvc", "repro", "--no-run-cache", "--force", "--downstream", "train")
    one, run_of_one = (vae, run_id(vae)) if family == "vae" else (toggled["gan"], toggled["second"])
    (run,) = runs(made)
    assert run.info.status == "FINISHED"
    assert furthest(made / "model", one / "model") < 1e-4
    assert_same_losses(made, run.info.run_id, vae, run_of_one, family)
    scores, of_one = (read(folder / "reports/evaluate/scores.json") for folder in (made, one))
    assert scores.keys() == of_one.keys()
    assert scores["fid_in_domain"] == pytest.approx(of_one["fid_in_domain"], rel=1e-3)
    assert digests(made, "features") == digests(vae, "features")


@pytest.mark.slow
@pytest.mark.parametrize("family", LOSSES)
def test_killed_training_of_two_processes_resumes_with_one(vae, toggled, copy, family):
    one = vae if family == "vae" else toggled["gan"]
    edit(copy, TWO | {"family": family, "runtime.checkpoint_seconds": 0.1})
    assert train_and_stop(copy, signal.SIGKILL, *TRAIN) == -signal.SIGKILL
    (begun,) = runs(copy)
    edit(copy, {"runtime.devices": 1})
    do(copy, *TRAIN)
    (run,) = runs(copy)
    assert (run.info.run_id, run.info.status) == (begun.info.run_id, "FINISHED")
    assert furthest(copy / "model", one / "model") < 1e-4
    for name in LOSSES[family]:
        assert [step for step, _ in history(copy, run.info.run_id, name)] == list(range(STEPS))
