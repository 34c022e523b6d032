"""Versions in a real MLflow registry, and what loading one gives."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest
import yaml
from PIL import Image
from registered import MODEL, NAME, PROTOCOL, ROOT, SCORES, attempt, challenger, client, do, evaluate

from pipeline.registry.lineage import PICTURES
from pipeline.system import dependencies


@pytest.fixture
def workspace(registered):
    return registered


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def left(workspace):
    return json.loads((workspace / "reports/register/version.json").read_bytes())


def test_version_can_be_traced_to_code_data_params_and_scores(workspace):
    from pipeline.models.saved import model_digest
    from pipeline.system.disk import digest_of

    version = challenger(workspace)
    tags = version.tags
    assert tags["git.commit"] == do(workspace, "git", "rev-parse", "HEAD").strip()
    assert tags["git.dirty"] == "false"
    assert tags["data_digest"] == "d" * 64
    assert tags["extractor_digest"] == "e" * 64
    assert tags["protocol_digest"] == "f" * 64
    assert tags["model_digest"] == model_digest(workspace / "model")
    about = json.loads((workspace / "model/model.json").read_bytes())
    assert tags["params_digest"] == digest_of(about["params"])
    assert {name: float(tags[name]) for name in SCORES} == SCORES
    assert "diff_digest" not in tags
    run = client(workspace).get_run(tags["run_id"])
    assert run.info.run_id == version.run_id
    assert run.data.tags["restored_from"] == "1" * 32


def lineage(workspace, version, to):
    """Download the lineage files of a version."""
    place = client(workspace).download_artifacts(version.run_id, version.tags["lineage"], str(to))
    return Path(place)


def test_version_keeps_its_card_its_environment_and_its_pictures(workspace, tmp_path):
    from pipeline.system.disk import digest_of

    version = challenger(workspace)
    kept = lineage(workspace, version, tmp_path)
    files = {"card.md", "environment.json", "run.json", "influences.safetensors", *PICTURES}
    assert {path.name for path in kept.iterdir()} == files
    assert version.tags["environment_digest"] == digest_of(json.loads((kept / "environment.json").read_bytes()))
    card = (kept / "card.md").read_text()
    links = re.findall(r"!\[.*?\]\((.*?)\)", card)
    assert len(links) == len(PICTURES)
    assert [link for link in links if not (kept / link).is_file()] == []
    assert version.tags["git.commit"] in version.description
    assert f"get-artifact?run_uuid={version.run_id}&path=versions/" in version.description
    assert len(version.description) <= 5000  # the limit of a registry in PostgreSQL or MySQL


@pytest.mark.slow
def test_the_python_on_the_card_draws_samples(workspace, tmp_path):
    card = (lineage(workspace, challenger(workspace), tmp_path) / "card.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    tried = code.replace("@champion", "@challenger") + "print(items.shape)"
    output = do(tmp_path, "python", "-c", tried, MLFLOW_TRACKING_URI=f"sqlite:///{workspace / 'mlflow.db'}")
    assert output.strip() == "(16, 28, 28, 1)"


def test_stage_leaves_which_version_it_made(workspace):
    version = challenger(workspace)
    assert left(workspace) == {
        "name": NAME,
        "version": int(version.version),
        "run_id": version.run_id,
        "model_digest": version.tags["model_digest"],
    }


def test_same_bytes_make_one_version(workspace):
    assert len(client(workspace).search_model_versions(f"name = '{NAME}'")) == 1
    assert left(workspace) == json.loads((workspace / "reports/register/at first.json").read_bytes())


@pytest.mark.slow
def test_other_bytes_make_another_version_and_known_ones_become_the_challenger_again(workspace, tmp_path):
    tracked = shutil.ignore_patterns("mlflow.db", "mlartifacts")
    copy = Path(shutil.copytree(workspace, tmp_path / "copy", ignore=tracked))
    (copy / "params.yaml").write_text((copy / "params.yaml").read_text() + "# changed\n")
    do(copy, "python", "-m", "pipeline.stages.register")
    do(copy, "python", "-c", MODEL, "2")
    do(copy, "python", "-m", "pipeline.stages.register")
    assert (left(copy)["version"], int(challenger(copy).version)) == (2, 2)
    version = challenger(copy)
    kept = lineage(copy, version, tmp_path)
    assert version.tags["git.dirty"] == "true"
    assert version.tags["diff_digest"] == sha256(kept / "diff.patch")
    assert "+# changed" in (kept / "diff.patch").read_text()
    do(copy, "python", "-c", MODEL, "1")
    do(copy, "python", "-m", "pipeline.stages.register")
    assert (left(copy)["version"], int(challenger(copy).version)) == (1, 1)
    assert len(client(copy).search_model_versions(f"name = '{NAME}'")) == 2


EVIDENCE = """
import sys
from pathlib import Path
from pipeline import tracking
from pipeline.evaluation.evidence import Evidence
found = Evidence.read(tracking.evaluated(tracking.connect(), sys.argv[1], Path(sys.argv[2])).folder)
print(found.protocol["digest"][:1], found.estimates["fid_in_domain"].value)
"""


def test_a_version_registered_after_another_evaluation_takes_its_scores_and_keeps_its_origin(workspace, tmp_path):
    tracked = shutil.ignore_patterns("mlflow.db", "mlartifacts")
    copy = Path(shutil.copytree(workspace, tmp_path / "copy", ignore=tracked))
    do(copy, "python", "-m", "pipeline.stages.register")
    before = challenger(copy)
    for number in (3.5, 12.5):  # another evaluation, and the first one again, which DVC may have restored
        scores = {name: value for name, value in SCORES.items() if not name.startswith("reconstruction")}
        evaluate(copy, scores | {"fid_in_domain": number}, PROTOCOL | {"digest": "a" * 64})
        (copy / "params.yaml").write_text((copy / "params.yaml").read_text() + "# changed\n")
        do(copy, "python", "-m", "pipeline.stages.register")
        version = challenger(copy)
        assert (version.version, version.run_id) == (before.version, before.run_id)
        assert (float(version.tags["fid_in_domain"]), version.tags["protocol_digest"]) == (number, "a" * 64)
        assert "reconstruction_loss" not in version.tags
        kept = ("git.dirty", "run_id", "environment_digest", "lineage")
        assert [version.tags[tag] for tag in kept] == [before.tags[tag] for tag in kept]
        assert all(part in version.description for part in (f"| fid_in_domain | {number} |", version.tags["evaluated"]))
        assert f"| fid_in_domain | {number} |" in (lineage(copy, version, tmp_path) / "card.md").read_text()
        (to := tmp_path / str(number)).mkdir()
        assert do(copy, "python", "-c", EVIDENCE, f"models:/{NAME}/1", str(to)).split() == ["a", str(number)]
    do(copy, "python", "-m", "pipeline.stages.register")
    assert challenger(copy).tags == version.tags


def test_registering_loads_no_torch(workspace, tmp_path):
    copy = Path(
        shutil.copytree(workspace, tmp_path / "copy", ignore=shutil.ignore_patterns("mlflow.db", "mlartifacts"))
    )
    code = "import sys\nfrom pipeline.stages.register import main\nmain()\nprint('torch' in sys.modules)"
    assert do(copy, "python", "-c", code).splitlines()[-1] == "False"
    assert left(copy)["version"] == 1


def test_version_answers_the_example_that_it_carries(workspace):
    folder = Path(challenger_folder(workspace))
    example = json.loads((folder / "serving_input_example.json").read_bytes())
    answer = mlflow.pyfunc.load_model(str(folder)).predict(example["inputs"], params=example["params"])
    assert answer.shape == (4, 28, 28, 1)


# Hides the installed package, so that only the code that the version carries can be imported
ELSEWHERE = """
import importlib.util, json, sys
from pathlib import Path
sys.path[:] = [each for each in sys.path if not (Path(each or ".") / "pipeline").is_dir()]
sys.meta_path[:] = [each for each in sys.meta_path if "editable" not in getattr(each, "__module__", "")]
assert importlib.util.find_spec("pipeline") is None, "the installed package is in the way"
import mlflow.pyfunc
import numpy as np
model = mlflow.pyfunc.load_model(f"models:/{sys.argv[1]}@challenger")
import pipeline
answers = [model.predict([], params={"n": 16, "seed": seed}) for seed in (0, 0, 1)]
np.savez("answers.npz", *answers)
Path("code.json").write_text(json.dumps(pipeline.__file__))
"""


def test_version_samples_alone_in_an_empty_folder(workspace, tmp_path):
    do(tmp_path, "python", "-c", ELSEWHERE, NAME, MLFLOW_TRACKING_URI=f"sqlite:///{workspace / 'mlflow.db'}")
    code = Path(json.loads((tmp_path / "code.json").read_bytes()))
    assert code.parts[-3:] == ("code", "pipeline", "__init__.py")
    assert not code.is_relative_to(ROOT)
    assert not (workspace / "pipeline").exists()
    carried = {path.relative_to(code.parents[1]) for path in code.parent.rglob("*.py")}
    assert carried == set(dependencies.files("pipeline.serving.pyfunc"))
    not_for_serving = {"stages", "cli", "training", "evaluation", "registry", "tracking"}
    assert {path.parts[1] for path in carried}.isdisjoint(not_for_serving)
    first, again, other = np.load(tmp_path / "answers.npz").values()
    assert (first.shape, first.dtype) == ((16, 28, 28, 1), np.uint8)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_version_carries_pinned_requirements_and_no_pickle(workspace):
    folder = Path(challenger_folder(workspace))
    pinned = [line for line in (folder / "requirements.txt").read_text().splitlines() if line]
    assert pinned
    assert [line for line in pinned if "==" not in line] == []
    about = yaml.safe_load((folder / "MLmodel").read_text())
    assert about["flavors"]["python_function"]["loader_module"] == "pipeline.serving.pyfunc"
    params = {each["name"]: each["default"] for each in json.loads(about["signature"]["params"])}
    assert params == {"n": 1, "seed": 0, "format": "array"}
    assert about["saved_input_example_info"]
    assert [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")] == []
    for name in ("weights.safetensors", "model.json"):
        assert (folder / "data/model" / name).read_bytes() == (workspace / "model" / name).read_bytes()


def challenger_folder(workspace):
    uri = client(workspace).get_model_version_download_uri(NAME, challenger(workspace).version)
    return uri.removeprefix("file://").replace("%20", " ")


def test_sample_verb_draws_from_the_registry_what_it_draws_from_the_folder(workspace, tmp_path):
    from_registry, from_folder = tmp_path / "a" / "registry.png", tmp_path / "folder.png"
    words = ("pipeline", "sample", "-n", "9", "--seed", "5", "--out")
    do(workspace, *words, str(from_registry), f"models:/{NAME}@challenger")
    do(workspace, *words, str(from_folder), "model")
    with Image.open(from_registry) as one, Image.open(from_folder) as other:
        assert one.width > 3 * 28
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(
    "uri",
    [
        f"models:/{NAME}@nobody",
        pytest.param("models:/unknown@challenger", marks=pytest.mark.slow),
        pytest.param(f"models:/{NAME}/99", marks=pytest.mark.slow),
        pytest.param("models:/", marks=pytest.mark.slow),
    ],
)
def test_unknown_version_is_one_line(workspace, uri, tmp_path):
    done = attempt(workspace, "pipeline", "sample", uri, "--out", str(tmp_path / "grid.png"))
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {uri}")
    assert list(tmp_path.iterdir()) == []
