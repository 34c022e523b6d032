"""Runs in a real MLflow store on SQLite, made and written to by real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import tracking
from pipeline.artefacts import PreparedData, RunRecord, SavedModel
from pipeline.params import Params

ROOT = Path(__file__).parents[1]
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
SOURCE = "some source"
DATA = {"source": SOURCE, "homepage": "https://example.org/data", "digest": "d" * 64}
BEGIN = """
from pathlib import Path
from pipeline import tracking
from pipeline.artefacts import PreparedData, RunRecord, SavedModel
from pipeline.params import Params
about = SavedModel("vae", "image", {"seed": 0, "vae": {"beta": 1.0}}, "e" * 64)
data = PreparedData(Path(), {"source": "some source", "homepage": None, "digest": "e" * 64})
runtime = Params.load(Path()).runtime
"""


def folders(base):
    """Make a workspace, and a main repository beside it."""
    workspace, main = base / "a copy", base / "main repository"
    for folder in (workspace, main):
        folder.mkdir()
        (folder / "dvc.yaml").touch()
        (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    return workspace, main


def begin(code, workspace, main):
    words = [sys.executable, "-c", BEGIN + code]
    env = ENV | {"DVC_ROOT": str(main)}
    return subprocess.Popen(words, cwd=workspace, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def client_of(main):
    uri = f"sqlite:///{main / 'mlflow.db'}"
    return MlflowClient(uri, uri)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """A store that four processes began to use at the same time, while it did not exist; and how they ended."""
    workspace, main = folders(tmp_path_factory.mktemp("crowd"))
    code = """
with tracking.start(about, data, runtime, None) as run:
    run.scores({"score": 1.0})
    print(run.id)
"""
    processes = [begin(code, workspace, main) for _ in range(4)]
    ends = [process.communicate(timeout=180) for process in processes]
    return workspace, main, [process.returncode for process in processes], ends


@pytest.fixture
def store(crowd, monkeypatch):
    """The workspace and the main repository whose store this process uses."""
    workspace, main, *_ = crowd
    monkeypatch.setattr(tracking, "STORE", None)
    monkeypatch.setenv("DVC_ROOT", str(main))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    monkeypatch.chdir(workspace)
    return workspace, main


def about():
    params = {"seed": 3, "family": "vae", "vae": {"latent_dim": 8, "prior": "normal"}, "train": {"epochs": 1}}
    return SavedModel("vae", "image", params, DATA["digest"])


def start(workspace, run_id=None):
    return tracking.start(about(), PreparedData(workspace, DATA), Params.load(workspace).runtime, run_id)


def status(main, run_id):
    return client_of(main).get_run(run_id).info.status


def test_fresh_store_survives_first_use_by_four_processes(crowd):
    _, main, codes, ends = crowd
    assert codes == [0] * 4, "\n".join(said for _, said in ends)
    made = {out.split()[-1] for out, _ in ends}
    assert len(made) == 4
    for run_id in made:
        run = client_of(main).get_run(run_id)
        assert (run.info.status, run.data.metrics["score"]) == ("FINISHED", 1.0)
    assert [each.name for each in client_of(main).search_experiments()].count(SOURCE) == 1


def test_store_and_artifacts_lie_in_the_main_repository_alone(crowd):
    workspace, main, *_ = crowd
    assert (main / "mlflow.db").is_file()
    experiment = client_of(main).get_experiment_by_name(SOURCE)
    assert experiment.artifact_location == (main / "mlartifacts" / SOURCE).as_uri()
    assert sorted(path.name for path in workspace.iterdir()) == ["dvc.yaml", "params.yaml"]
    assert not (main / "mlruns").exists()


def test_finished_run_is_finished(store):
    workspace, main = store
    with start(workspace) as run:
        assert status(main, run.id) == "RUNNING"
    assert status(main, run.id) == "FINISHED"


def test_run_that_raises_is_failed(store):
    workspace, main = store
    with pytest.raises(ValueError, match="broken"), start(workspace) as run:
        raise ValueError("broken")
    assert status(main, run.id) == "FAILED"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_run_that_is_interrupted_is_killed(store, error):
    workspace, main = store
    with pytest.raises(error), start(workspace) as run:
        raise error
    assert status(main, run.id) == "KILLED"


def test_run_that_a_signal_interrupts_is_killed(store):
    workspace, main = store
    code = """
import time
with tracking.start(about, data, runtime, None) as run:
    print(run.id, flush=True)
    time.sleep(60)
"""
    process = begin(code, workspace, main)
    run_id = process.stdout.readline().strip()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert status(main, run_id) == "KILLED"


def test_killed_run_goes_on_as_the_same_run(store):
    workspace, main = store
    with pytest.raises(KeyboardInterrupt), start(workspace) as run:
        raise KeyboardInterrupt
    with start(workspace, run.id) as again:
        assert again.id == run.id
        assert status(main, run.id) == "RUNNING"
    assert status(main, run.id) == "FINISHED"


def test_training_whose_run_was_deleted_begins_another(store):
    workspace, main = store
    with start(workspace) as run:
        pass
    client_of(main).delete_run(run.id)
    with start(workspace, run.id) as another:
        assert another.id != run.id
    assert status(main, another.id) == "FINISHED"


def test_run_holds_params_data_and_tags(store):
    workspace, main = store
    with start(workspace) as run:
        pass
    found = client_of(main).get_run(run.id)
    assert found.data.params == {
        "seed": "3",
        "family": "vae",
        "vae.latent_dim": "8",
        "vae.prior": "normal",
        "train.epochs": "1",
    }
    (given,) = found.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == (SOURCE, "d" * 32)
    assert DATA["homepage"] in given.dataset.source
    assert {"git.commit", "git.branch", "git.dirty", "machine.torch"} <= found.data.tags.keys()
    for name, value in Params.load(workspace).runtime.model_dump().items():
        assert found.data.tags[f"runtime.{name}"] == str(value)


def test_dvc_stage_and_experiment_become_tags(store, monkeypatch):
    workspace, main = store
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setenv("DVC_EXP_NAME", "tidy-owl")
    with start(workspace) as run:
        pass
    tags = client_of(main).get_run(run.id).data.tags
    assert (tags["dvc.stage"], tags["dvc.experiment"]) == ("train", "tidy-owl")


def test_unknown_run_gets_a_replacement_and_keeps_it(store):
    _, main = store
    record = RunRecord("0" * 32, SOURCE)
    with tracking.resume(record) as first:
        first.scores({"fid": 2.0})
    with tracking.resume(record) as second:
        second.scores({"other": 3.0})
    with tracking.resume(RunRecord("1" * 32, SOURCE)) as third:
        pass
    assert first.id == second.id
    assert third.id != first.id
    run = client_of(main).get_run(first.id)
    assert run.data.tags["restored_from"] == "0" * 32
    assert run.data.metrics == {"fid": 2.0, "other": 3.0}
    assert run.info.status == "FINISHED"


def test_known_run_goes_on_and_gets_no_replacement(store):
    workspace, main = store
    with start(workspace) as run:
        pass
    with tracking.resume(RunRecord(run.id, SOURCE)) as resumed:
        assert resumed.id == run.id
        assert status(main, run.id) == "RUNNING"
    assert status(main, run.id) == "FINISHED"


def test_many_figures_arrive_whole_and_in_few_calls(store, monkeypatch):
    workspace, main = store
    with start(workspace) as run:
        calls = []
        log_batch = run.client.log_batch
        monkeypatch.setattr(
            run.client, "log_batch", lambda *args, **named: (calls.append(1), log_batch(*args, **named))
        )
        run.figures([("train/loss", step / 2, step) for step in range(1500)])
    assert len(calls) == 2
    points = client_of(main).get_metric_history(run.id, "train/loss")
    assert sorted((point.step, point.value) for point in points) == [(step, step / 2) for step in range(1500)]


def test_files_and_images_land_below_the_main_repository(store):
    from PIL import Image

    workspace, main = store
    with start(workspace) as run:
        run.image(Image.new("L", (8, 8)), "samples", 3)
        run.files(Path(__file__).parent, "tests")
    folder = main / "mlartifacts" / SOURCE / run.id / "artifacts"
    assert (folder / "tests" / Path(__file__).name).is_file()
    assert list((folder / "images").glob("samples+step+3+*.png"))
    assert not (workspace / "mlruns").exists()


def test_load_of_the_machine_is_logged(store, monkeypatch):
    workspace, main = store
    monkeypatch.setattr(tracking, "SYSTEM_INTERVAL", 0.1)
    with start(workspace) as run:
        deadline = time.monotonic() + 30
        while "system/cpu_utilization_percentage" not in client_of(main).get_run(run.id).data.metrics:
            assert time.monotonic() < deadline, "no system metric arrived"
            time.sleep(0.1)


@pytest.mark.slow
def test_store_that_the_user_names_is_used(tmp_path):
    workspace, main = folders(tmp_path)
    named = tmp_path / "team.db"
    code = "with tracking.resume(RunRecord('0' * 32, 'team')) as run:\n    print(tracking.mlflow.get_tracking_uri())"
    words = [sys.executable, "-c", BEGIN + code]
    env = ENV | {"DVC_ROOT": str(main), "MLFLOW_TRACKING_URI": f"sqlite:///{named}"}
    done = subprocess.run(words, cwd=workspace, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"sqlite:///{named}"
    assert named.is_file()
    assert not (main / "mlflow.db").exists()
