"""`pipeline compare` on models that the real pipeline made."""

import shutil

import pytest
from workspace import NAME, attempt, do, own_copy

pytestmark = pytest.mark.slow


def verdicts(output):
    rows = [line.split() for line in output.splitlines()]
    return {row[0]: row[-1] for row in rows if row and row[-1] in ("better", "worse", "undecided")}


def test_runs_of_both_families_are_compared_by_the_scores_that_both_have(vae, toggled, tmp_path):
    page = tmp_path / "deep" / "page.html"
    output = do(vae, "pipeline", "compare", toggled["first"], toggled["second"], "--out", page)
    assert {"fid_in_domain", "kid_in_domain", "memorisation", "reconstruction_loss", "ssim"} <= verdicts(output).keys()
    assert "elbo" not in verdicts(output)
    assert "vae.latent_dim" in output
    assert "gan.latent_dim" in output
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 6
    assert "reconstruction_loss" in text


def test_a_model_equals_itself_under_each_of_its_names(vae, toggled, tmp_path):
    names = [".", toggled["first"], f"models:/{NAME}/1"]
    for name in names[1:]:
        output = do(vae, "pipeline", "compare", names[0], name, "--out", tmp_path / "page.html")
        assert "no params differ" in output
        assert set(verdicts(output).values()) == {"undecided"}


def test_a_name_that_does_not_exist_is_one_line(vae):
    for name in ("nothing", "models:/nothing/1", "models:/nothing@champion", "it's"):
        done = attempt(vae, "pipeline", "compare", ".", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert name in done.stderr


def test_scores_of_different_protocols_are_refused_and_an_experiment_is_found_by_its_name(vae, store, tmp_path):
    copy = own_copy(vae, store, tmp_path)
    do(copy, "dvc", "exp", "run", "-n", "more-samples", "-S", "vae.beta=2.0", "-S", "evaluate.samples=300")
    done = attempt(copy, "pipeline", "compare", vae, "more-samples")
    assert done.returncode == 2
    assert "samples is 200 and 300" in done.stderr


def test_an_experiment_that_changed_only_its_evaluation_is_not_mistaken_for_the_run_that_it_shares(
    vae, store, tmp_path
):
    copy, page = own_copy(vae, store, tmp_path), tmp_path / "page.html"
    for name, samples in (("less", 150), ("more", 160)):
        do(copy, "dvc", "exp", "run", "--temp", "-n", name, "-S", f"evaluate.samples={samples}")
    done = attempt(copy, "pipeline", "compare", "less", "more")
    assert "samples is 150 and 160" in done.stderr
    output = do(copy, "pipeline", "compare", "HEAD", vae, "--out", page)
    assert set(verdicts(output).values()) == {"undecided"}
    shutil.rmtree(copy / ".dvc" / "cache")
    done = attempt(copy, "pipeline", "compare", "less", "more")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "dvc fetch" in done.stderr
