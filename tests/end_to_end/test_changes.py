"""The stages that run after a change of params.yaml or of code, and those that do not."""

import json
import shutil

import pytest
from workspace import NAME, TRAIN, attempt, client, digests, do, edit, errors, ran, read, run_id, runs

from pipeline.params import Params
from pipeline.training import environment


@pytest.mark.parametrize(
    "changes",
    [
        {"gan.learning_rate": 0.1, "gan.width": 8},
        {"runtime.checkpoint_seconds": 1, "runtime.devices": 2, "runtime.precision": "bf16-mixed"},
    ],
    ids=["another family", "runtime"],
)
def test_params_that_no_stage_reads_run_nothing_but_validate(copy, changes):
    edit(copy, changes)
    assert ran(do(copy, "dvc", "repro")) == ["validate"]


def test_automatic_precision_is_recorded_as_the_precision_that_was_chosen(copy):
    edit(copy, {"runtime.precision": "auto"})
    do(copy, *TRAIN)
    chosen = environment.precision(Params.load(copy).runtime)
    (run,) = runs(copy)
    assert run.data.tags["runtime.precision"] == chosen != "auto"
    assert read(copy / "reports/train/environment.json")["runtime"]["precision"] == chosen


def test_training_params_do_not_run_the_stages_before_training(copy):
    edit(copy, {"train.epochs": 2})
    assert ran(do(copy, "dvc", "repro", "--dry")) == ["validate", "train", "evaluate", "register"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("evaluation/report.py", ["validate", "evaluate"]),
        ("tracking/callback.py", ["validate", "train", "evaluate", "register"]),
        ("registry/card.py", ["validate", "register"]),
        ("cli/main.py", ["validate"]),
    ],
)
def test_a_change_of_code_runs_the_stages_that_import_it_and_no_other(copy, module, stages):
    path = copy / "pipeline" / module
    path.write_text(path.read_text() + "\n# a change\n")
    assert ran(do(copy, "dvc", "repro")) == stages
    assert ran(do(copy, "dvc", "repro")) == []


def test_bad_param_is_one_line_and_touches_nothing(copy):
    before = digests(copy, "model", "features", "data/prepared", "reports")
    before = {name: digest for name, digest in before.items() if not name.startswith("reports/validate")}
    edit(copy, {"vae.latent_dim": -1})
    done = attempt(copy, "dvc", "repro")
    assert done.returncode != 0
    assert errors(done.stderr) == ["error: params.yaml: vae.latent_dim is -1: should be greater than or equal to 1"]
    assert "Traceback" not in done.stdout + done.stderr
    assert digests(copy, "model", "features", "data/prepared", "reports") == before
    edit(copy, {"vae.latent_dim": 8})
    assert ran(do(copy, "dvc", "repro")) == []


@pytest.mark.slow
def test_batch_larger_than_the_data_is_one_line_and_loses_nothing(copy):
    before = digests(copy, "model", "reports/train")
    edit(copy, {"train.batch_size": 50_000})
    done = attempt(copy, "dvc", "repro")
    assert done.returncode != 0
    (error,) = errors(done.stderr)
    assert "train.batch_size is 50000" in error
    assert "7000" in error
    assert "Traceback" not in done.stdout + done.stderr
    edit(copy, {"train.batch_size": 140})
    assert ran(do(copy, "dvc", "repro")) == []
    assert digests(copy, "model", "reports/train") == before


@pytest.mark.slow
def test_other_family_makes_a_second_run(toggled):
    assert read(toggled["gan"] / "model/model.json")["family"] == "gan"
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
def test_a_model_that_dvc_restores_is_the_challenger_again(toggled):
    assert toggled["challenger"] == "vae"


@pytest.mark.slow
def test_an_evaluation_that_dvc_restores_is_recorded_in_the_version_again(copy):
    recorded = []
    for samples in (300, 200, 300):
        edit(copy, {"evaluate.samples": samples})
        do(copy, "dvc", "repro")
        version = client(copy).get_model_version_by_alias(NAME, "challenger")
        recorded.append({name: version.tags[name] for name in ("protocol_digest", "evidence_digest", "fid_in_domain")})
        assert version.tags["protocol_digest"] == read(copy / "reports/evaluate/protocol.json")["digest"]
    assert recorded[0] == recorded[2] != recorded[1]


@pytest.mark.slow
def test_metrics_of_two_families_can_be_compared(toggled):
    changed = json.loads(toggled["diff"])["reports/evaluate/metrics.json"]
    assert changed["fid_in_domain"]["old"] != changed["fid_in_domain"]["new"]


@pytest.mark.slow
def test_same_params_data_and_code_give_the_same_bytes(vae, copy):
    assert ran(do(copy, "dvc", "repro", "--force", "--single-item", "train")) == ["train"]
    assert run_id(copy) != run_id(vae)
    assert digests(copy, "model") == digests(vae, "model")


@pytest.mark.slow
def test_colleague_with_the_cache_trains_nothing_and_a_new_score_goes_to_a_replacement_of_the_run(vae, store, tmp_path):
    clone = tmp_path / "clone"
    do(tmp_path, "git", "clone", "--quiet", str(vae), "clone")
    shutil.copytree(vae / ".dvc/cache", clone / ".dvc/cache")
    shutil.copyfile(store, clone / "mlflow.db")
    do(clone, "dvc", "checkout")
    assert ran(do(clone, "dvc", "repro")) == []
    assert digests(clone, "model", "reports", "features") == digests(vae, "model", "reports", "features")
    original = run_id(clone)
    assert runs(clone) == []
    edit(clone, {"evaluate.samples": 300})
    assert ran(do(clone, "dvc", "repro")) == ["validate", "evaluate", "register"]
    (run,) = runs(clone)
    assert run.info.run_id != original
    assert run.info.status == "FINISHED"
    assert run.data.tags["restored_from"] == original
    assert run.data.params == client(vae).get_run(original).data.params
    assert run.data.tags["protocol.samples"] == "300"
    version = client(clone).get_model_version_by_alias(NAME, "challenger")
    assert (version.run_id, version.tags["run_id"]) == (run.info.run_id, run.info.run_id)
    assert run_id(clone) == original
