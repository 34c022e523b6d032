import pytest
import yaml
from git_repository import git
from stages import ROOT

from pipeline.cli import retrain
from pipeline.cli.retrain import Recipe
from pipeline.models.saved import SavedModel
from pipeline.system.errors import ArtifactError, TrainingError

RUNTIME = {"accelerator": "cpu", "devices": 1, "nodes": 1, "precision": "32-true"}
DVC = "stages:\n  prepare:\n    cmd: {}\n    outs: [data/prepared]\n"


@pytest.fixture
def place(tmp_path):
    """A DVC repository whose only stage makes prepared data from a source that git does not track."""
    folder = tmp_path / "repository"
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_bytes((ROOT / ".dvc/config").read_bytes())
    (folder / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (folder / "dvc.yaml").write_text(DVC.format("mkdir -p data/prepared && cp data/raw/mine/a.txt data/prepared"))
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (folder / ".gitignore").write_text("/data\n")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", "repository")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "begin")
    return folder


@pytest.fixture
def kept(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def recipe(place, kept, commit=None, nodes=1, **params):
    about = SavedModel("vae", "image", {"prepare": {"source": "mine"}, **params}, "d" * 64)
    environment = {"runtime": RUNTIME | {"nodes": nodes}, "threads": 1}
    return Recipe(commit or git(place, "rev-parse", "HEAD"), about, environment, {}, kept)


def test_a_commit_that_is_not_here_is_to_be_fetched(place, kept, tmp_path):
    with pytest.raises(ArtifactError, match=r"f{40} is not in this repository; `git fetch`"):
        retrain.run(recipe(place, kept, "f" * 40), place, tmp_path / "clone")


def test_a_diff_that_does_not_apply_is_reported_with_its_place(place, kept, tmp_path):
    (place / "params.yaml").write_text("seed: 1\n")
    (kept / "diff.patch").write_text(git(place, "diff").replace("-content: image", "-content: other") + "\n")
    with pytest.raises(ArtifactError, match=r"does not apply .*params\.yaml"):
        retrain.run(recipe(place, kept), place, tmp_path / "clone")


def test_a_training_on_several_machines_is_not_tried_on_one(place, kept, tmp_path):
    with pytest.raises(TrainingError, match="several machines"):
        retrain.run(recipe(place, kept, nodes=2), place, tmp_path / "clone")
    assert not (tmp_path / "clone").exists()


def test_a_commit_that_no_branch_holds_any_more_is_checked_out_with_its_difference(place, kept, tmp_path):
    (place / "new.txt").write_text("of the commit\n")
    git(place, "add", ".")
    git(place, "commit", "--quiet", "--message", "on no branch")
    lost = recipe(place, kept)
    (place / "new.txt").write_text("edited\n")
    (kept / "diff.patch").write_text(git(place, "diff") + "\n")
    git(place, "reset", "--quiet", "--hard", "HEAD~1")
    retrain._check_out(lost, place, tmp_path / "clone")
    assert (tmp_path / "clone/new.txt").read_text() == "edited\n"


def test_params_of_the_version_go_over_those_of_the_commit_and_leave_the_others(place, kept):
    before = yaml.safe_load((place / "params.yaml").read_text())
    changed = recipe(place, kept, seed=7, vae={"beta": 3e-5})
    retrain._set_params(changed, place)
    after = yaml.safe_load((place / "params.yaml").read_text())
    expected = {**before, "seed": 7, "vae": {**before["vae"], "beta": 3e-5}}
    expected["prepare"] = {**before["prepare"], "source": "mine"}
    expected["runtime"] = {**before["runtime"], **RUNTIME}
    assert after == expected
    once = (place / "params.yaml").read_bytes()
    retrain._set_params(changed, place)
    assert (place / "params.yaml").read_bytes() == once


def test_params_that_are_those_of_the_commit_leave_the_file_as_it_is(place, kept):
    tree = yaml.safe_load((place / "params.yaml").read_text())
    same = Recipe("", SavedModel("vae", "image", {"vae": tree["vae"]}, ""), {"runtime": tree["runtime"]}, {}, kept)
    retrain._set_params(same, place)
    assert (place / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


@pytest.mark.slow
def test_data_come_from_the_source_if_no_cache_has_them_and_are_one_line_without_it(place, kept, tmp_path):
    made = recipe(place, kept)
    retrain._check_out(made, place, tmp_path / "clone")
    with pytest.raises(ArtifactError, match=r"data/prepared .* not in DVC.s cache, and cannot .*data/raw/mine"):
        retrain._bring_data(made, place, tmp_path / "clone")
    (place / "data/raw/mine").mkdir(parents=True)
    (place / "data/raw/mine/a.txt").write_text("an item")
    retrain._bring_data(made, place, tmp_path / "clone")
    assert (tmp_path / "clone/data/prepared/a.txt").read_text() == "an item"
    assert not [path for path in (place / ".dvc/cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "text",
    [None, "", "[1]", "x", "seed: !!int abc", "prepare: 5", "a: " + "[" * 5000, "a: &a [1]\nb: [" + "*a, " * 99 + "]"],
)
def test_invalid_params_of_a_commit_are_one_line(place, kept, text):
    made = recipe(place, kept)
    (place / "params.yaml").unlink() if text is None else (place / "params.yaml").write_text(text)
    with pytest.raises(ArtifactError, match=r"params\.yaml of commit [0-9a-f]{40} cannot be read"):
        retrain._set_params(made, place)
