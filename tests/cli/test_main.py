import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import contents
from pipeline.contents import display
from pipeline.models import storage
from pipeline.params import Params

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("pipeline")


def pipeline(*words, cwd):
    return subprocess.run([COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def model(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    storage.save(folder, toy.family("vae"), toy.about("vae"))
    return folder


def assert_refused(done, *parts):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert str(part) in done.stderr


def test_help_lists_every_verb_with_what_it_does(tmp_path):
    done = pipeline("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    for part in (
        "sample",
        "draw samples",
        "summary",
        "show what the last",
        "reproduce",
        "retrain a version",
        "doctor",
        "check the machine",
    ):
        assert part in done.stdout


def test_help_of_a_verb_lists_its_options_with_their_defaults(tmp_path):
    done = pipeline("sample", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("MODEL", "-n N", "default: 64", "--seed", "--out", "samples.png"):
        assert part in done.stdout


def test_help_of_the_doctor_lists_its_options_with_their_defaults(tmp_path):
    done = pipeline("doctor", "--help", cwd=tmp_path)
    assert done.returncode == 0
    for part in ("--clean", "--days DAYS", "default: 7", "--mark-killed"):
        assert part in done.stdout


@pytest.mark.parametrize(
    "words", [[], ["smaple"], ["sample"], ["sample", "model", "-n", "many"], ["doctor", "--days", "many"]]
)
def test_invalid_arguments_show_the_usage_and_exit_with_two(tmp_path, words):
    done = pipeline(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: pipeline")
    assert "Traceback" not in done.stderr


def test_samples_of_a_folder_are_a_picture_and_repeat_with_the_seed(model, tmp_path):
    pictures = []
    for name, seed in (("a.png", 3), ("new/b.png", 3), ("c.png", 4)):
        done = pipeline("sample", model, "-n", 9, "--seed", seed, "--out", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert name in done.stdout
        pictures.append(np.asarray(Image.open(tmp_path / name)))
    assert pictures[0].shape == (3 * 66 + 2, 3 * 66 + 2, 3)
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert (pictures[0] != pictures[2]).any()


def test_samples_in_a_folder_are_a_file_each(model, tmp_path):
    done = pipeline("sample", model, "-n", 11, "--out", "new/folder", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "new/folder").iterdir())
    assert names == [f"sample-{i:02}.png" for i in range(11)]
    assert np.asarray(Image.open(tmp_path / "new/folder/sample-00.png")).shape == (16, 16)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["-n", "0"], "-n is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--seed", str(2**63)], f"--seed from 0 to {2**63 - 1}"),
        (["--out", "picture.docx"], "--out is picture.docx"),
        (["--out", "picture.psd"], "--out is picture.psd"),
        (["--out", "taken/picture.png"], "taken"),
    ],
)
def test_a_bad_option_is_one_line(model, tmp_path, words, part):
    (tmp_path / "taken").touch()
    assert_refused(pipeline("sample", model, *words, cwd=tmp_path), part)


def test_a_missing_folder_is_one_line_that_states_what_to_give(tmp_path):
    assert_refused(pipeline("sample", "nowhere", cwd=tmp_path), "nowhere is not a folder", "models:/")


def test_a_folder_that_holds_no_model_is_one_line(tmp_path):
    assert_refused(pipeline("sample", tmp_path, cwd=tmp_path), "model.json")


def test_a_corrupt_model_is_one_line(model, tmp_path):
    for path in model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-1] + b"?")
    (tmp_path / "model.json").write_bytes((model / "model.json").read_bytes())
    assert_refused(pipeline("sample", tmp_path, cwd=tmp_path), "weights.safetensors", "corrupt")


def test_a_registered_model_outside_a_clone_is_one_line(tmp_path):
    assert_refused(pipeline("sample", "models:/clothes@challenger", cwd=tmp_path), "dvc.yaml")


@pytest.mark.parametrize("words", [["summary"], ["doctor"]])
def test_a_verb_outside_a_clone_is_one_line(tmp_path, words):
    assert_refused(pipeline(*words, cwd=tmp_path), "dvc.yaml")


def test_a_summary_before_anything_was_made_is_one_line(tmp_path):
    (tmp_path / "dvc.yaml").touch()
    assert_refused(pipeline("summary", cwd=tmp_path), "dataset.json", "dvc repro")


@pytest.mark.parametrize(
    ("content", "place"), [("image", "samples.png"), ("audio", "samples"), ("text", "samples"), ("code", "samples")]
)
def test_samples_go_to_a_picture_or_to_files_by_content(content, place):
    settings = getattr(Params.load(ROOT), content).model_dump()
    assert display.default_output(contents.build(content, settings, {})) == place
