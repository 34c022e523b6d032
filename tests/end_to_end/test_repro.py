"""The results of the first `dvc repro` in the workspace and in MLflow."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from workspace import NAME, STEPS, client, do, history, ran, read, run_id

from pipeline.evaluation.metrics.direction import HIGHER_IS_BETTER, LOWER_IS_BETTER, NO_DIRECTION

OUTS = [
    "data/prepared/dataset.json",
    "features/extractor.safetensors",
    "features/reference.safetensors",
    "model/model.json",
    "model/weights.safetensors",
    "reports/validate/code/prepare.json",
    "reports/validate/code/train.json",
    "reports/prepare/rejected.csv",
    "reports/prepare/duplicates.csv",
    "reports/prepare/examples.png",
    "reports/prepare/metrics.json",
    "reports/features/metrics.json",
    "reports/train/run.json",
    "reports/train/environment.json",
    "reports/train/curves/val/elbo.csv",
    "reports/evaluate/metrics.json",
    "reports/evaluate/scores.json",
    "reports/evaluate/protocol.json",
    "reports/evaluate/influences.safetensors",
    "reports/evaluate/samples.png",
    "reports/evaluate/reconstructions.png",
    "reports/evaluate/interpolation.png",
    "reports/evaluate/traversals.png",
    "reports/evaluate/nearest.png",
    "reports/evaluate/classes.csv",
    "reports/evaluate/report.html",
    "reports/register/version.json",
]


def test_repro_leaves_every_out(vae):
    assert [name for name in OUTS if not (vae / name).is_file()] == []
    assert do(vae, "git", "status", "--porcelain") == ""
    assert [path.name for path in vae.glob("mlruns")] == []
    assert list((vae / ".pipeline/work").iterdir()) == []


def test_second_repro_runs_nothing(vae):
    assert ran(do(vae, "dvc", "repro")) == []


def test_scores_are_flat_numbers(vae):
    scores = read(vae / "reports/evaluate/scores.json")
    assert {
        re.sub("_(low|high|floor)$", "", name) for name in scores
    } <= LOWER_IS_BETTER | HIGHER_IS_BETTER | NO_DIRECTION
    assert all(isinstance(value, int | float) for value in scores.values())
    assert {"fid_in_domain", "fid_in_domain_floor", "reconstruction_loss", "elbo", "bits_per_dim"} <= scores.keys()
    for name in ("fid_in_domain", "kid_in_domain", "memorisation", "reconstruction_loss", "ssim", "iw_elbo"):
        assert scores[f"{name}_low"] < scores[name] < scores[f"{name}_high"]
    protocol = read(vae / "reports/evaluate/protocol.json")
    assert (protocol["samples"], protocol["reconstructions"]) == (200, 50)
    assert 0 < scores["fid_in_domain_floor"] < scores["fid_in_domain"]


def test_metrics_are_the_few_scores_that_people_compare(vae):
    metrics, scores = (read(vae / f"reports/evaluate/{name}.json") for name in ("metrics", "scores"))
    assert metrics.items() <= scores.items()
    assert {"fid_in_domain", "recall", "memorisation", "reconstruction_loss", "bits_per_dim"} <= metrics.keys()
    assert len(metrics) <= 12
    assert len(read(vae / "reports/features/metrics.json")) <= 2
    assert max(map(len, do(vae, "dvc", "metrics", "show").splitlines())) < 400


def test_run_holds_params_data_tags_and_scores(vae):
    store = client(vae)
    run = store.get_run(run_id(vae))
    assert run.info.status == "FINISHED"
    assert run.data.params["vae.latent_dim"] == "8"
    assert run.data.params["prepare.split.train"] == "0.7"
    assert {"seed", "family", "content", "image.side", "train.epochs"} <= run.data.params.keys()
    assert not [name for name in run.data.params if name.startswith(("gan.", "runtime."))]
    tags = run.data.tags
    assert tags["git.commit"] == do(vae, "git", "rev-parse", "HEAD~1").strip()
    assert (tags["git.branch"], tags["git.dirty"], tags["dvc.stage"]) == ("main", "false", "train")
    runtime = yaml.safe_load((vae / "params.yaml").read_text())["runtime"]
    assert {name for name in tags if name.startswith("runtime.")} == {f"runtime.{name}" for name in runtime}
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.name == NAME
    assert read(vae / "data/prepared/dataset.json")["digest"].startswith(given.dataset.digest)
    assert len(given.dataset.digest) >= 32
    for name, value in read(vae / "reports/evaluate/scores.json").items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert [step for step, _ in history(vae, run.info.run_id, "train/loss")] == list(range(STEPS))
    assert [step for step, _ in history(vae, run.info.run_id, "val/elbo")] == [STEPS - 1]


def test_run_holds_an_image_a_step(vae):
    store, run = client(vae), run_id(vae)
    logged = [Path(each.path).name for each in store.list_artifacts(run, "images")]
    for kind in ("samples", "reconstructions"):
        steps = [re.match(rf"pictures~{kind}\+step\+(\d)\+.*\.png$", name) for name in logged]
        assert sorted(step[1] for step in steps if step) == ["0", "1"], logged
    assert (vae / "mlartifacts" / NAME / run / "artifacts/evaluate/samples.png").is_file()


def test_version_is_the_challenger_and_traceable(vae, challenger):
    left = read(vae / "reports/register/version.json")
    assert (left["name"], left["run_id"]) == (NAME, run_id(vae))
    assert int(challenger.version) == left["version"]
    assert challenger.tags["model_digest"] == left["model_digest"]
    assert challenger.tags["run_id"] == run_id(vae)


def test_metrics_and_plots_can_be_shown(vae):
    shown = json.loads(do(vae, "dvc", "metrics", "show", "--json"))
    assert "fid_in_domain" in json.dumps(shown)
    do(vae, "dvc", "plots", "show", "--out", "reports/plots")
    page = (vae / "reports/plots/index.html").read_text()
    shutil.rmtree(vae / "reports/plots")
    for name in (
        "samples.png",
        "reconstructions.png",
        "interpolation.png",
        "examples.png",
        "curves",
        "classes of samples",
        "classes of test",
    ):
        assert name in page


def test_summary_names_the_run_and_the_scores(vae):
    output = do(vae, "pipeline", "summary")
    assert run_id(vae) in output
    assert "fid_in_domain" in output
