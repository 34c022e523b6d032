"""What dvc.yaml names for each stage is what the stage imports and reads of params.yaml, and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
from stages import ROOT, STAGES, paths

ALIASES = {"content_section": "${content}", "family_section": "${family}", "register_": "register"}
RUNTIME = "runtime"


def files(path, root=ROOT):
    """Return a file, or the Python files below a folder."""
    found = sorted((root / path).rglob("*.py")) if (root / path).is_dir() else [root / path]
    return {str(each.relative_to(root)) for each in found}


def closure(graph, module):
    """Return the files that importing a module runs, those of the packages that it lies in included."""
    pending, found = {module}, set()
    while pending:
        name = pending.pop()
        found.add(name)
        package = name.rpartition(".")[0]
        pending |= (graph.find_modules_directly_imported_by(name) | ({package} if package else set())) - found
    return {str(path.relative_to(ROOT)) for path in map(module_file, found)}


def module_file(name):
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("pipeline", cache_dir=None)


def listed_code(stage):
    return set().union(*(files(path) for path in paths(stage, "deps") if Path(path).parts[0] == "pipeline"))


def test_every_stage_has_its_module_and_every_module_its_stage():
    modules = {path.stem for path in (ROOT / "pipeline/stages").glob("*.py")} - {"__init__"}
    assert modules == set(STAGES)
    for stage, about in STAGES.items():
        # the shell that DVC starts becomes the stage, which then sees its end, as the stage's parent is DVC itself
        assert about["cmd"].rpartition(" && ")[2] == f"exec python -m pipeline.stages.{stage}"


@pytest.mark.parametrize("stage", STAGES)
def test_no_imported_code_is_missing_from_the_deps(graph, stage):
    assert closure(graph, f"pipeline.stages.{stage}") - listed_code(stage) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_no_dep_is_code_that_the_stage_does_not_import(graph, stage):
    if stage == "register":
        assert "pipeline" in paths(stage, "deps")
    else:
        assert listed_code(stage) - closure(graph, f"pipeline.stages.{stage}") == set()


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
    return {ALIASES.get(name, name) for name in read}


def params_named(stage):
    named = STAGES[stage].get("params", [])
    assert all(isinstance(each, str) or [Path(key).name for key in each] == ["params.yaml"] for each in named)
    return {name for each in named for name in ([each] if isinstance(each, str) else next(iter(each.values())))}


@pytest.mark.parametrize("stage", STAGES)
def test_params_that_a_stage_reads_are_those_that_it_names(stage):
    assert params_read(stage) - {RUNTIME} == params_named(stage)


@pytest.mark.parametrize("stage", STAGES)
def test_no_stage_depends_on_where_it_runs(stage):
    assert [name for name in params_named(stage) if name.split(".")[0] == RUNTIME] == []


def test_only_validate_depends_on_the_whole_of_params():
    assert [stage for stage in STAGES if "params.yaml" in paths(stage, "deps")] == ["validate"]
