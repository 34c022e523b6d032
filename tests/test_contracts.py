"""What dvc.yaml names for each stage is what the stage imports and reads of params.yaml, and nothing else."""

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from stages import ROOT, STAGES, paths

from pipeline.system import dependencies

OF_DATA = {"seed", "content", "prepare", "${content}"}
ALIASES = {
    "content_section": {"${content}"},
    "family_section": {"${family}"},
    "register_": {"register"},
    "of_data": OF_DATA,
    "of_features": {"seed", "features"},
    "of_model": OF_DATA | {"family", "train", "${family}"},
}
"""What `Params` calls some of the file's names, or several of them together."""
RUNTIME = "runtime"
LOADED = "import sys, pipeline.stages.{}\nprint(*[name for name in sys.modules if name.split('.')[0] == 'pipeline'])"


def module_files(names):
    """Return the files of modules of this package, seen from the root."""
    places = [ROOT.joinpath(*name.split(".")) for name in names]
    found = [place / "__init__.py" if place.is_dir() else place.with_suffix(".py") for place in places]
    return {path.relative_to(ROOT).as_posix() for path in found}


@pytest.fixture(scope="module")
def code():
    return {stage: dependencies.of_stage(stage) for stage in dependencies.STAGES}


def test_every_stage_has_its_module_and_every_module_its_stage():
    modules = {path.stem for path in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    assert modules == set(STAGES)
    for stage, about in STAGES.items():
        # the shell that DVC starts becomes the stage, which then sees its end, as the stage's parent is DVC itself
        assert about["cmd"].rpartition(" && ")[2] == f"exec env PIPELINE_PARENT=$PPID python -m pipeline.stages.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_names_its_code_as_one_dependency(stage):
    named = {path for path in paths(stage, "deps") if path.startswith(("pipeline", "reports/validate"))}
    assert named == ({f"reports/validate/code/{stage}.json"} if stage in dependencies.STAGES else {"pipeline"})


def test_validate_leaves_the_code_of_each_stage():
    assert paths("validate", "outs") == {f"reports/validate/code/{stage}.json" for stage in dependencies.STAGES}


@pytest.mark.parametrize("stage", dependencies.STAGES)
def test_no_module_that_a_stage_loads_is_missing_from_its_code(code, stage):
    said = subprocess.run([sys.executable, "-c", LOADED.format(stage)], cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    loaded = module_files(said.stdout.split())
    assert f"pipeline/stages/{stage}.py" in loaded
    assert loaded - code[stage].keys() == set()


@pytest.mark.parametrize("stage", dependencies.STAGES)
def test_no_module_that_a_stage_imports_later_is_missing_from_its_code(code, stage):
    graph = grimp.build_graph("pipeline", cache_dir=None)
    imported = graph.find_upstream_modules(f"pipeline.stages.{stage}") | {f"pipeline.stages.{stage}"}
    assert module_files(imported) - code[stage].keys() == set()


def test_what_a_stage_does_not_import_is_none_of_its_code(code):
    assert "pipeline/evaluation/report.py" in code["evaluate"]
    assert not code["train"].keys() & {
        "pipeline/evaluation/report.py",
        "pipeline/evaluation/scoring.py",
        "pipeline/registry/versions.py",
    }
    assert not code["prepare"].keys() & {"pipeline/training/trainer.py", "pipeline/models/families/vae.py"}


def test_the_digests_of_code_are_those_of_its_files(code):
    for files in code.values():
        assert files == {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in files}


@pytest.mark.parametrize(
    ("stage", "heavy"),
    [
        ("validate", ("torch", "mlflow", "scipy", "matplotlib")),
        ("prepare", ("torch", "mlflow", "matplotlib")),
        ("features", ("pytorch_lightning", "mlflow", "matplotlib")),
        ("evaluate", ("pytorch_lightning",)),
        ("register", ("torch", "matplotlib")),
    ],
)
def test_no_stage_waits_for_the_import_of_what_it_does_without(stage, heavy):
    code = f"import sys, pipeline.stages.{stage}\nprint([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def params_read(stage):
    """Return the attributes of `params` that a stage reads, under dvc.yaml's names; `params` itself goes nowhere."""
    tree = ast.parse((ROOT / f"pipeline/stages/{stage}.py").read_text())
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "params" and isinstance(node.ctx, ast.Load):
            assert id(node) in bases, f"line {node.lineno} of stage {stage} hands all params on"
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "params"
    }
    return {name for attribute in read for name in ALIASES.get(attribute, {attribute})}


def params_named(stage):
    named = STAGES[stage].get("params", [])
    assert all(isinstance(each, str) or [Path(key).name for key in each] == ["params.yaml"] for each in named)
    return {name for each in named for name in ([each] if isinstance(each, str) else next(iter(each.values())))}


@pytest.mark.parametrize("stage", [each for each in STAGES if each != "validate"])  # which depends on the whole file
def test_params_that_a_stage_reads_are_those_that_it_names(stage):
    assert params_read(stage) - {RUNTIME} == params_named(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_where_it_runs(stage):
    assert [name for name in params_named(stage) if name.split(".")[0] == RUNTIME] == []


def test_only_validate_depends_on_the_whole_of_params():
    assert [stage for stage in STAGES if "params.yaml" in paths(stage, "deps")] == ["validate"]
