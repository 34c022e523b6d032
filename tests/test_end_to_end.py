"""The real `dvc repro` on a copy of the repository, with tiny params."""

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from mlflow import MlflowClient
from PIL import Image

ROOT = Path(__file__).parents[1]
NAME = "fashion-mnist-10k"
TINY = {
    "features.epochs": 1,
    "features.width": 8,
    "features.size": 16,
    "vae.latent_dim": 8,
    "vae.width": 16,
    "vae.blocks": 0,
    "vae.components": 2,
    "gan.latent_dim": 8,
    "gan.width": 16,
    "gan.blocks": 0,
    "gan.projection_steps": 2,
    "gan.projection_starts": 1,
    "train.epochs": 1,
    "train.batch_size": 500,
    "train.warmup_steps": 2,
    "evaluate.samples": 200,
    "evaluate.reconstructions": 50,
}
OUTS = [
    "data/prepared/dataset.json",
    "features/extractor.safetensors",
    "features/reference.safetensors",
    "model/model.json",
    "model/weights.safetensors",
    "reports/validate/schema.json",
    "reports/prepare/rejected.csv",
    "reports/prepare/examples.png",
    "reports/prepare/metrics.json",
    "reports/features/metrics.json",
    "reports/train/run.json",
    "reports/train/curves/val/elbo.csv",
    "reports/evaluate/metrics.json",
    "reports/evaluate/protocol.json",
    "reports/evaluate/samples.png",
    "reports/evaluate/reconstructions.png",
    "reports/evaluate/interpolation.png",
    "reports/evaluate/classes.csv",
    "reports/register/version.json",
]
# Nets this small run slower on two threads than on one
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTHON"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
    **{f"GIT_{who}_{what}": "a@b.invalid" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def attempt(folder, *words):
    return subprocess.run(words, cwd=folder, env=ENV, capture_output=True, text=True, timeout=300, check=False)


def do(folder, *words):
    done = attempt(folder, *words)
    assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def ran(output):
    """Return the stages that a `dvc repro` ran, in order."""
    return re.findall(r"^Running stage '(?:.*:)?(\w+)'", output, re.MULTILINE)


def edit(folder, changes):
    path = folder / "params.yaml"
    tree = yaml.safe_load(path.read_text())
    for name, value in changes.items():
        *sections, field = name.split(".")
        section = tree
        for each in sections:
            section = section[each]
        assert field in section, f"params.yaml has no {name}"
        section[field] = value
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def read(path):
    return json.loads(path.read_bytes())


def digests(folder, *parts):
    """Return the digest of every file below some parts of a workspace."""
    files = [path for part in parts for path in sorted((folder / part).rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def client(folder):
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return MlflowClient(uri, uri)


def runs(folder, name=NAME):
    store = client(folder)
    return store.search_runs([store.get_experiment_by_name(name).experiment_id], order_by=["attributes.start_time"])


def run_id(folder):
    return read(folder / "reports/train/run.json")["run_id"]


def own_copy(workspace, to):
    """Return a copy of a workspace with DVC's cache and all outs, and no tracking store."""
    left = shutil.ignore_patterns("mlflow.db*", "mlartifacts", ".pipeline", "tmp")
    return Path(shutil.copytree(workspace, to / "copy", ignore=left, symlinks=True))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A commit of the working tree's files with tiny params, where nothing ran yet."""
    folder = tmp_path_factory.mktemp("end to end") / "clone"
    listed = do(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in listed.split("\0"):
        if name and name != "dvc.lock" and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    edit(folder, TINY)
    do(folder, "git", "init", "--quiet", "--initial-branch", "main")
    do(folder, "git", "add", ".")
    do(folder, "git", "commit", "--quiet", "--message", "a clone")
    return folder


@pytest.fixture(scope="module")
def vae(fresh):
    """A workspace in which the default pipeline ran once; tests only read it."""
    do(fresh, "dvc", "repro")
    do(fresh, "git", "add", "dvc.lock")
    do(fresh, "git", "commit", "--quiet", "--message", "the first results")
    return fresh


@pytest.fixture(scope="module")
def toggled(vae):
    """What was found while `family` went from vae to gan and back, which leaves the workspace as it was."""
    found = {"first": run_id(vae), "model": digests(vae, "model")}
    do(vae, "dvc", "exp", "run", "-S", "family=gan")
    found["second"] = run_id(vae)
    found["gan"] = read(vae / "model/model.json")["family"]
    found["diff"] = do(vae, "dvc", "metrics", "diff", "--json")
    do(vae, "dvc", "exp", "run", "-S", "family=vae")
    found["third"] = run_id(vae)
    found["runs"] = runs(vae)
    return found


def test_repro_leaves_every_out(vae):
    assert [name for name in OUTS if not (vae / name).is_file()] == []
    assert do(vae, "git", "status", "--porcelain") == ""
    assert [path.name for path in vae.glob("mlruns")] == []
    assert list((vae / ".pipeline/work").iterdir()) == []


def test_second_repro_runs_nothing(vae):
    assert ran(do(vae, "dvc", "repro")) == []


def test_scores_are_flat_figures(vae):
    scores = read(vae / "reports/evaluate/metrics.json")
    assert all(isinstance(value, int | float) for value in scores.values())
    assert {"fid_in_domain", "fid_in_domain_floor", "reconstruction_loss", "elbo", "bits_per_dim"} <= scores.keys()
    assert scores["fid_in_domain_n"] == 200
    assert scores["reconstruction_loss_n"] == 50
    assert 0 < scores["fid_in_domain_floor"] < scores["fid_in_domain"]


def test_run_holds_params_data_tags_and_scores(vae):
    store = client(vae)
    run = store.get_run(run_id(vae))
    assert run.info.status == "FINISHED"
    assert run.data.params["vae.latent_dim"] == "8"
    assert run.data.params["prepare.split.train"] == "0.7"
    assert {"seed", "family", "content", "image.size", "train.epochs"} <= run.data.params.keys()
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
    for name, value in read(vae / "reports/evaluate/metrics.json").items():
        assert run.data.metrics[name] == pytest.approx(value)
    assert sorted(point.step for point in store.get_metric_history(run.info.run_id, "train/loss")) == list(range(14))
    assert store.get_metric_history(run.info.run_id, "val/elbo")[0].step == 13


def test_run_holds_an_image_a_step(vae):
    store, run = client(vae), run_id(vae)
    logged = [Path(each.path).name for each in store.list_artifacts(run, "images")]
    for kind in ("samples", "reconstructions"):
        assert [name for name in logged if re.match(rf"{kind}\+step\+1\+.*\.png$", name)], logged
    assert (vae / "mlartifacts" / NAME / run / "artifacts/evaluate/samples.png").is_file()


def test_version_is_the_challenger_and_traceable(vae):
    left = read(vae / "reports/register/version.json")
    version = client(vae).get_model_version_by_alias(NAME, "challenger")
    assert (left["name"], left["run_id"]) == (NAME, run_id(vae))
    first = client(vae).get_model_version(NAME, left["version"])
    assert first.tags["model_digest"] == left["model_digest"]
    assert first.tags["run_id"] == run_id(vae)
    assert version.tags["model_digest"] == left["model_digest"]


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


def test_summary_says_what_was_made(vae):
    said = do(vae, "pipeline", "summary")
    assert run_id(vae) in said
    assert "fid_in_domain" in said


@pytest.mark.parametrize(
    "changes",
    [
        {"gan.learning_rate": 0.1, "gan.width": 8},
        {"runtime.checkpoint_seconds": 1, "runtime.accelerator": "cpu", "runtime.precision": "bf16-mixed"},
    ],
    ids=["another family", "runtime"],
)
def test_params_that_no_stage_reads_run_nothing_but_validate(vae, tmp_path, changes):
    copy = own_copy(vae, tmp_path)
    edit(copy, changes)
    assert ran(do(copy, "dvc", "repro")) == ["validate"]


def test_training_params_do_not_run_the_stages_before_training(vae, tmp_path):
    copy = own_copy(vae, tmp_path)
    edit(copy, {"train.epochs": 2})
    assert ran(do(copy, "dvc", "repro", "--dry")) == ["validate", "train"]


def test_bad_param_is_one_line_and_touches_nothing(vae, tmp_path):
    copy = own_copy(vae, tmp_path)
    before = digests(copy, "model", "features", "data/prepared", "reports")
    del before["reports/validate/schema.json"]
    edit(copy, {"vae.latent_dim": -1})
    done = attempt(copy, "dvc", "repro")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert said == ["error: params.yaml: vae.latent_dim is -1: should be greater than or equal to 1"]
    assert "Traceback" not in done.stdout + done.stderr
    assert digests(copy, "model", "features", "data/prepared", "reports") == before
    edit(copy, {"vae.latent_dim": 8})
    assert ran(do(copy, "dvc", "repro")) == []


@pytest.mark.slow
def test_batch_larger_than_the_data_is_one_line_and_loses_nothing(vae, tmp_path):
    copy = own_copy(vae, tmp_path)
    before = digests(copy, "model", "reports/train")
    edit(copy, {"train.batch_size": 50_000})
    done = attempt(copy, "dvc", "repro")
    assert done.returncode != 0
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "train.batch_size is 50000" in said
    assert "7000" in said
    assert "Traceback" not in done.stdout + done.stderr
    edit(copy, {"train.batch_size": 500})
    assert ran(do(copy, "dvc", "repro")) == []
    assert digests(copy, "model", "reports/train") == before


def odd_images(folder):
    """Make 120 plain images and some odd ones, all usable, and some that are not; return the names of the latter."""
    rng = np.random.default_rng(0)
    plain = [Image.fromarray(rng.integers(0, 256, (40, 30 + i % 9, 3), np.uint8)) for i in range(130)]
    for i, image in enumerate(plain[:120]):
        path = folder / ("cats" if i % 2 else "größere Hunde") / f"{i}.{('png', 'jpg', 'webp', 'bmp')[i % 4]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    odd = folder / "cats"
    faded = plain[120].convert("RGBA")
    faded.putalpha(90)
    faded.save(odd / "faded.png")
    plain[121].convert("CMYK").save(odd / "print.jpg")
    plain[122].quantize(16).save(odd / "palette.png", transparency=0)
    Image.fromarray(rng.integers(0, 65536, (40, 40), np.uint16)).save(odd / "deep.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    plain[123].save(odd / "turned.jpg", exif=turned)
    plain[124].save(odd / "moving.gif", save_all=True, append_images=plain[125:128])
    shutil.copyfile(odd / "1.jpg", odd / "the same again.jpg")
    whole = (odd / "1.jpg").read_bytes()
    bad = {
        "cats/empty.png": b"",
        "cats/half.jpg": whole[: len(whole) // 2],
        "größere Hunde/words.png": b"no image at all",
        "größere Hunde/notes.txt": b"no image at all",
        "größere Hunde/bits.png": b"\x89PNG\r\n\x1a\n" + bytes(range(200)),
    }
    for name, data in bad.items():
        (folder / name).write_bytes(data)
    Image.new("1", (20_000, 10_000)).save(folder / "cats/bomb.png")
    return [*bad, "cats/bomb.png"]


def test_folder_of_odd_images_is_prepared_and_the_bad_ones_listed(fresh, tmp_path):
    copy = own_copy(fresh, tmp_path)
    bad = odd_images(tmp_path / "my images")
    edit(copy, {"prepare.source": str(tmp_path / "my images"), "image.channels": 3, "image.size": 32})
    refused = attempt(copy, "dvc", "repro", "prepare")
    assert refused.returncode != 0
    (said,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert "6 files" in said
    assert "cats/bomb.png" in said
    assert "prepare.max_rejected" in said
    edit(copy, {"prepare.max_rejected": 0.1})
    do(copy, "dvc", "repro", "prepare")
    with (copy / "reports/prepare/rejected.csv").open(newline="") as file:
        rejected = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert sorted(rejected) == sorted(bad)
    assert all(rejected.values())
    about = read(copy / "data/prepared/dataset.json")
    assert about["classes"] == ["cats", "größere Hunde"]
    assert (sum(about["counts"].values()), about["rejected"], about["duplicates"]) == (126, 6, 1)
    assert np.load(copy / "data/prepared/train.npy").shape == (about["counts"]["train"], 3, 32, 32)
    with Image.open(copy / "reports/prepare/examples.png") as picture:
        assert picture.width > 32


@pytest.mark.slow
def test_other_family_makes_a_second_run(toggled):
    assert toggled["gan"] == "gan"
    assert toggled["second"] != toggled["first"]
    of_gan = next(run for run in toggled["runs"] if run.info.run_id == toggled["second"])
    assert of_gan.info.status == "FINISHED"
    assert of_gan.data.params["family"] == "gan"
    assert "gan.latent_dim" in of_gan.data.params
    assert of_gan.data.tags["dvc.experiment"]
    assert {"train/critic_loss", "train/generator_loss", "reconstruction_loss"} <= of_gan.data.metrics.keys()


@pytest.mark.slow
def test_both_families_compete_under_one_name(vae, toggled):
    versions = client(vae).search_model_versions(f"name = '{NAME}'")
    assert {version.tags["family"] for version in versions} == {"vae", "gan"}
    assert len(versions) == 2


@pytest.mark.slow
def test_params_toggled_back_restore_the_first_run(vae, toggled):
    assert toggled["third"] == toggled["first"]
    assert [run.info.run_id for run in toggled["runs"]].count(toggled["first"]) == 1
    assert len(toggled["runs"]) == 2
    assert digests(vae, "model") == toggled["model"]


@pytest.mark.slow
def test_metrics_of_two_families_can_be_compared(toggled):
    changed = json.loads(toggled["diff"])["reports/evaluate/metrics.json"]
    assert changed["fid_in_domain"]["old"] != changed["fid_in_domain"]["new"]


@pytest.mark.slow
def test_temporary_experiment_is_tracked_in_the_main_repository(vae, tmp_path):
    copy = own_copy(vae, tmp_path)
    before = digests(copy, "model", "reports")
    do(copy, "dvc", "exp", "run", "--temp", "-S", "vae.beta=2.0")
    (run,) = runs(copy)
    assert run.data.params["vae.beta"] == "2.0"
    assert run.info.status == "FINISHED"
    assert run.info.artifact_uri == (copy / "mlartifacts" / NAME / run.info.run_id / "artifacts").as_uri()
    assert (copy / "mlartifacts" / NAME / run.info.run_id / "artifacts/evaluate/samples.png").is_file()
    assert [path for path in copy.rglob("mlflow.db") if path != copy / "mlflow.db"] == []
    (version,) = client(copy).search_model_versions(f"name = '{NAME}'")
    assert version.run_id == run.info.run_id
    assert digests(copy, "model", "reports") == before


@pytest.mark.slow
def test_same_params_data_and_code_give_the_same_bytes(vae, tmp_path):
    copy = own_copy(vae, tmp_path)
    assert ran(do(copy, "dvc", "repro", "--force", "--single-item", "train")) == ["train"]
    assert run_id(copy) != run_id(vae)
    assert digests(copy, "model") == digests(vae, "model")


LONG = {"train.epochs": 40, "runtime.checkpoint_seconds": 0.2}


def train_and_stop(workspace, stop, *words):
    """Start a training, call `stop` on its process group once a checkpoint lies there, and return its exit code."""
    process = subprocess.Popen(words, cwd=workspace, env=ENV, start_new_session=True, stderr=subprocess.PIPE, text=True)
    children = []
    deadline = time.monotonic() + 120
    while not list(workspace.glob(".pipeline/work/*/last.ckpt")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, stop)
    process.communicate(timeout=60)
    assert psutil.wait_procs(children, timeout=30)[1] == []
    return process.returncode


@pytest.fixture(scope="module")
def uninterrupted(vae, tmp_path_factory):
    """The digests of a longer training that nobody stopped, and the workspace."""
    copy = own_copy(vae, tmp_path_factory.mktemp("uninterrupted"))
    edit(copy, LONG)
    do(copy, "dvc", "repro", "train")
    return copy


@pytest.mark.slow
def test_killed_training_goes_on_to_the_same_bytes_in_the_same_run(vae, uninterrupted, tmp_path):
    copy = own_copy(vae, tmp_path)
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
    steps = {point.step for point in client(copy).get_metric_history(begun.info.run_id, "train/loss")}
    assert steps == set(range(40 * 14))
    assert list((copy / ".pipeline/work").iterdir()) == []


@pytest.mark.slow
def test_long_training_logs_the_load_of_the_machine(uninterrupted):
    (run,) = runs(uninterrupted)
    assert "system/cpu_utilization_percentage" in run.data.metrics


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_stopped_training_is_no_success_and_keeps_the_model(vae, tmp_path, stop):
    copy = own_copy(vae, tmp_path)
    before = digests(copy, "model", "reports")
    edit(copy, LONG)
    assert train_and_stop(copy, stop, "python", "-m", "pipeline.stages.train") != 0
    (run,) = runs(copy)
    assert run.info.status in ("KILLED", "FAILED")
    assert digests(copy, "model", "reports") == before
    assert list(copy.glob(".pipeline/work/*/last.ckpt"))
