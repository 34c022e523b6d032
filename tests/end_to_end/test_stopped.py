"""A training that is stopped and resumes."""

import signal

import pytest
from workspace import (
    LONG,
    TRAIN,
    checkpoints,
    client,
    digests,
    do,
    edit,
    own_copy,
    ran,
    run_id,
    runs,
    train_and_stop,
)


@pytest.fixture(scope="module")
def uninterrupted(vae, store, tmp_path_factory):
    """A workspace in which a longer training ran without interruption."""
    made = own_copy(vae, store, tmp_path_factory.mktemp("uninterrupted"))
    edit(made, LONG)
    do(made, "dvc", "repro", "train")
    return made


@pytest.mark.slow
def test_killed_training_resumes_to_the_same_bytes_in_the_same_run(copy, uninterrupted):
    edit(copy, LONG)
    assert train_and_stop(copy, signal.SIGKILL, "dvc", "repro", "train") == -signal.SIGKILL
    assert not (copy / "model").exists()
    (begun,) = runs(copy)
    assert begun.info.status == "RUNNING"
    assert ran(do(copy, "dvc", "repro", "train")) == ["train"]
    assert run_id(copy) == begun.info.run_id
    (ended,) = runs(copy)
    assert ended.info.status == "FINISHED"
    assert digests(copy, "model") == digests(uninterrupted, "model")
    assert digests(copy, "reports/train/curves") == digests(uninterrupted, "reports/train/curves")
    steps = sorted(point.step for point in client(copy).get_metric_history(begun.info.run_id, "train/loss"))
    assert steps == list(range(40 * 14))
    # the work folder is kept until evaluate has run, since only then the model is in DVC's cache
    (work,) = (copy / ".pipeline/work").iterdir()
    do(copy, "dvc", "repro", "evaluate")
    assert not work.exists()


@pytest.mark.slow
def test_long_training_logs_the_load_of_the_machine(uninterrupted):
    (run,) = runs(uninterrupted)
    assert "system/cpu_utilization_percentage" in run.data.metrics


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_stopped_training_is_no_success_and_keeps_the_model(copy, stop):
    before = digests(copy, "model", "reports")
    edit(copy, LONG)
    assert train_and_stop(copy, stop, *TRAIN) != 0
    (run,) = runs(copy)
    assert run.info.status in ("KILLED", "FAILED")
    assert digests(copy, "model", "reports") == before
    assert checkpoints(copy)
