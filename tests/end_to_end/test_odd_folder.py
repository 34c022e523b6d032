"""The pipeline in a repository whose folder's name has characters that are special in URLs and shells."""

import pytest
from workspace import client, do, runs

from pipeline.tracking import store

NAME = "quo'te#%20 50% [x] (é) $HOME"


@pytest.mark.slow
def test_pipeline_runs_in_a_folder_of_any_name_and_forced_stages_do_not_change_the_end_of_its_run(fresh, tmp_path):
    folder = tmp_path / NAME
    do(tmp_path, "git", "clone", "--quiet", fresh, folder)
    do(folder, "dvc", "repro")
    (run,) = runs(folder)
    version = client(folder).search_model_versions()[0]
    assert (run.info.status, version.run_id) == ("FINISHED", run.info.run_id)
    assert store.address(folder / "mlflow.db") in do(folder, "pipeline", "doctor")
    assert (folder / "mlartifacts").is_dir()
    do(folder, "pipeline", "sample", f"models:/{version.name}/{version.version}", "-n", "4", "--out", "four.png")
    for stage in ("evaluate", "register"):
        do(folder, "dvc", "repro", "-f", "-s", stage)
    (after,) = runs(folder)
    assert (after.info.status, after.info.end_time) == ("FINISHED", run.info.end_time)
