import dataclasses

import pytest
from described import MACHINE

from pipeline.cli import reproduce
from pipeline.cli.retrain import Recipe
from pipeline.system import disk
from pipeline.system.errors import UserError

ENVIRONMENT = MACHINE | {"threads": 1, "packages": {"torch": "2.13.0", "numpy": "2.1.0"}}


def write(folder, about, environment, code):
    """Write the files of a training that both a version's lineage and a clone contain."""
    (folder / "model").mkdir(parents=True)
    (folder / "model/weights.safetensors").write_bytes(b"weights")
    about.write(folder / "model")
    disk.write_json(
        folder / "reports/train/environment.json", environment | {"code": {"pipeline/training/game.py": code}}
    )


@pytest.fixture
def found(toy, tmp_path):
    """Return the reported differences of a clone with other data, params, environment or code."""

    def look(environment=ENVIRONMENT, code="a", **changes):
        about = dataclasses.replace(toy.about("vae", **changes.pop("settings", {})), **changes)
        write(tmp_path / "kept", toy.about("vae"), ENVIRONMENT, "a")
        write(tmp_path / "clone", about, environment, code)
        recipe = Recipe("c", toy.about("vae"), ENVIRONMENT, {"pipeline/training/game.py": "a"}, tmp_path / "kept")
        return list(reproduce._differences(recipe, tmp_path / "clone"))

    return look


def test_nothing_that_is_the_same_is_named(found):
    assert found() == []


def test_code_is_named_by_its_file(found):
    assert found(code="b") == [("code", "pipeline/training/game.py was a, is b")]


def test_data_are_named_by_their_digest(found):
    before, other = "d" * 64, "e" * 64
    assert found(data_digest=other) == [("data", f"digest was {before}, is {other}")]


def test_a_param_is_named_with_both_values(found):
    assert found(settings={"beta": 2.0}) == [("params", "vae.beta was 1.0, is 2.0")]


def test_packages_are_named_with_both_versions_and_those_that_are_missing(found):
    other = MACHINE | {"threads": 2, "packages": {"torch": "2.14.0"}}
    assert found(environment=other) == [
        ("environment", "packages.numpy was 2.1.0, is missing"),
        ("environment", "packages.torch was 2.13.0, is 2.14.0"),
        ("environment", "threads was 1, is 2"),
    ]


@pytest.mark.parametrize("name", ["full", "full/file"])
def test_a_folder_that_is_taken_is_not_cloned_into(tmp_path, monkeypatch, name):
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"--keep is .*, which is not an empty folder"):
        reproduce.reproduce("models:/clothes@champion", tmp_path / name)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["file"]


def test_each_kind_of_difference_has_a_fix():
    assert list(reproduce.FIXES) == ["code", "data", "params", "environment", "model"]


@pytest.mark.parametrize(
    ("dirty", "patch", "digest", "reported"),
    [
        ("false", None, None, []),
        ("true", b"diff", "right", []),
        ("true", None, "right", [("code", "diff.patch is missing")]),
        ("true", b"other", "right", [("code", "diff.patch differs from its recorded digest")]),
        ("false", b"diff", None, [("code", "diff.patch differs from its recorded digest")]),
    ],
)
def test_a_diff_that_differs_from_its_record_is_named(tmp_path, toy, dirty, patch, digest, reported):
    right = tmp_path / "right"
    right.write_bytes(b"diff")
    if patch is not None:
        (tmp_path / "diff.patch").write_bytes(patch)
    tags = {"git.dirty": dirty} | ({"diff_digest": disk.sha256(right)} if digest else {})
    recipe = Recipe("c", toy.about("vae"), ENVIRONMENT, {}, tmp_path)
    assert list(reproduce._lost(tags, recipe)) == reported
