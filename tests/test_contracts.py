"""dvc.yaml names for each stage exactly the code that it imports and the params that it reads."""

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
"""Attributes of `Params` that stand for other names of the file, or for several."""
RUNTIME = "runtime"
LOADED = "import sys, pipeline.stages.{}\nprint(*[name for name in sys.modules if name.split('.')[0] == 'pipeline'])"


def module_files(names):
    """Return the files of modules of this package, relative to the root."""
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
        # exec makes DVC itself the parent of the stage, so that the stage notices the end of DVC
        assert about["cmd"].rpartition(" && ")[2] == f"exec env PIPELINE_PARENT=$PPID python -m pipeline.stages.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_names_its_code_as_one_dependency(stage):
    named = {path for path in paths(stage, "deps") if path.startswith(("pipeline", "reports/validate"))}
    assert named == ({f"reports/validate/code/{stage}.json"} if stage in dependencies.STAGES else {"pipeline"})


def test_validate_writes_the_digests_of_each_stages_code():
    assert paths("validate", "outs") == {f"reports/validate/code/{stage}.json" for stage in dependencies.STAGES}


@pytest.mark.parametrize("stage", dependencies.STAGES)
def test_no_module_that_a_stage_loads_is_missing_from_its_code(code, stage):
    done = subprocess.run([sys.executable, "-c", LOADED.format(stage)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = module_files(done.stdout.split())
    assert f"pipeline/stages/{stage}.py" in loaded
    assert loaded - code[stage].keys() == set()


@pytest.mark.parametrize("stage", dependencies.STAGES)
def test_no_module_that_a_stage_imports_later_is_missing_from_its_code(code, stage):
    graph = grimp.build_graph("pipeline", cache_dir=None)
    imported = graph.find_upstream_modules(f"pipeline.stages.{stage}") | {f"pipeline.stages.{stage}"}
    assert module_files(imported) - code[stage].keys() == set()


def test_modules_that_a_stage_does_not_import_are_not_in_its_code(code):
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
def test_no_stage_imports_a_heavy_package_that_it_does_not_use(stage, heavy):
    code = f"import sys, pipeline.stages.{stage}\nprint([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def params_read(stage):
    """Return the params that a stage reads, by dvc.yaml's names; fail if it passes `params` itself on."""
    tree = ast.parse((ROOT / f"pipeline/stages/{stage}.py").read_text())
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "params" and isinstance(node.ctx, ast.Load):
            assert id(node) in bases, f"line {node.lineno} of stage {stage} passes all params on"
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


@pytest.mark.parametrize("stage", [each for each in STAGES if each != "validate"])  # it depends on the whole file
def test_a_stage_names_exactly_the_params_that_it_reads(stage):
    assert params_read(stage) - {RUNTIME} == params_named(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_where_it_runs(stage):
    assert [name for name in params_named(stage) if name.split(".")[0] == RUNTIME] == []


def test_only_validate_depends_on_the_whole_of_params():
    assert [stage for stage in STAGES if "params.yaml" in paths(stage, "deps")] == ["validate"]
