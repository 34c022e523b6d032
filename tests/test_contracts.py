"""What the parts of the project promise each other: dvc.yaml, params.yaml, the import layers, the pinned packages."""

import ast
import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ALIASES = {"content_section": "${content}", "family_section": "${family}", "register_": "register"}
RUNTIME = "runtime"
SOURCE = "small"
TINY = {
    "prepare": {"source": SOURCE},
    "features": {"epochs": 1, "width": 8, "size": 8},
    "vae": {"latent_dim": 4, "width": 8, "blocks": 0, "components": 2},
    "train": {"epochs": 1, "batch_size": 200, "warmup_steps": 1},
    "evaluate": {"samples": 100, "reconstructions": 20},
}
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTHON"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


def filled(text, params):
    """Return a path of dvc.yaml with its ${…} taken from params."""

    def look_up(found):
        value = params
        for name in found[1].split("."):
            value = value[name]
        return str(value)

    return re.sub(r"\$\{([\w.]+)\}", look_up, text)


def paths(stage, *kinds, params=PARAMS):
    """Return the paths that a stage names under some keys of dvc.yaml, as seen from the root."""
    about = STAGES[stage]
    named = [each for kind in kinds for each in about.get(kind, [])]
    named = [next(iter(each)) if isinstance(each, dict) else each for each in named]
    return {os.path.normpath(Path(about.get("wdir", "."), filled(each, params))) for each in named}


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
        assert about["cmd"].endswith(f"python -m pipeline.stages.{stage}")


@pytest.mark.parametrize("stage", STAGES)
def test_no_imported_code_is_missing_from_the_deps(graph, stage):
    assert closure(graph, f"pipeline.stages.{stage}") - listed_code(stage) == set()


@pytest.mark.parametrize("stage", STAGES)
def test_no_dep_is_code_that_the_stage_does_not_import(graph, stage):
    if stage == "register":
        assert "pipeline" in paths(stage, "deps")
    else:
        assert listed_code(stage) - closure(graph, f"pipeline.stages.{stage}") == set()


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


WATCH = """
import json, os, runpy, sys
from pathlib import Path
root, seen = str(Path.cwd()) + os.sep, set()
def note(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        (mode, flags), path = args[1:], os.fsdecode(args[0])
        if mode is None and not os.path.isabs(path):
            return  # relative to an open folder, as when one is removed
        path = os.path.abspath(path)
        reading = flags & os.O_ACCMODE == os.O_RDONLY if mode is None else not set(mode) & set("wax+")
        if reading and path.startswith(root):
            seen.add(path.removeprefix(root))
sys.addaudithook(note)
try:
    runpy.run_module(f"pipeline.stages.{sys.argv[1]}", run_name="__main__", alter_sys=True)
finally:
    Path(sys.argv[2]).write_text(json.dumps(sorted(seen)))
"""
HANDED_OVER = ("dataset.json", "train.npy", "test.npy", "extractor.json", "model.json", "weights.safetensors")
EXEMPT = ("params.yaml", "dvc.yaml", ".git", ".pipeline", "mlflow.db")


def small_source(folder):
    """Write the first 600 images of the embedded set."""
    folder.mkdir(parents=True)
    for kind, size in (("images-idx3", 28 * 28), ("labels-idx1", 1)):
        name = f"t10k-{kind}-ubyte.gz"
        data = gzip.decompress((ROOT / "data/raw/fashion-mnist-10k" / name).read_bytes())
        start = 16 if size > 1 else 8
        head = data[:4] + struct.pack(">I", 600) + data[8:start]
        (folder / name).write_bytes(gzip.compress(head + data[start : start + 600 * size]))


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """What became of each stage in a folder where everything that dvc.yaml does not name for it is absent or empty.

    That is: how it ended, which files below that folder it opened to read, and what it left.
    """
    base = tmp_path_factory.mktemp("bare")
    params = {
        name: PARAMS[name] | TINY.get(name, {}) if isinstance(PARAMS[name], dict) else PARAMS[name] for name in PARAMS
    }
    store = base / "made so far"
    small_source(store / "data/raw" / SOURCE)
    found = {}
    for stage in STAGES:
        bare = base / stage
        for name in {"params.yaml", *paths(stage, "deps", params=params)}:
            from_ = ROOT / name if Path(name).parts[0] in ("pipeline", "params.yaml") else store / name
            (bare / name).parent.mkdir(parents=True, exist_ok=True)
            if from_.is_dir():
                shutil.copytree(from_, bare / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copyfile(from_, bare / name)
        (bare / "params.yaml").write_text(yaml.safe_dump(params))
        (bare / "dvc.yaml").touch()
        others = {out for other in STAGES for out in paths(other, "outs", "metrics", params=params)}
        for name in others - paths(stage, "deps", "outs", "metrics", params=params):
            place = bare / name
            for empty in [place] if place.suffix else [place / each for each in HANDED_OVER]:
                empty.parent.mkdir(parents=True, exist_ok=True)
                empty.touch()
        (bare / "data").mkdir(exist_ok=True)
        subprocess.run(["git", "init", "--quiet"], cwd=bare, check=True)
        opened = base / f"{stage}.json"
        words = [sys.executable, "-c", WATCH, stage, str(opened)]
        done = subprocess.run(words, cwd=bare, env=ENV, capture_output=True, text=True, timeout=300, check=False)
        outs = paths(stage, "outs", "metrics", params=params)
        found[stage] = {
            "ended": (done.returncode, done.stderr),
            "read": set(json.loads(opened.read_text())),
            "missing": [out for out in outs if not (bare / out).exists()],
            "named": outs | paths(stage, "deps", params=params),
        }
        for out in outs:
            if (bare / out).is_dir():
                shutil.copytree(bare / out, store / out)
            elif (bare / out).exists():
                (store / out).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(bare / out, store / out)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_stage_makes_its_outs_from_what_it_names_alone(traces, stage):
    code, said = traces[stage]["ended"]
    assert code == 0, said
    assert traces[stage]["missing"] == []


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_no_file_is_read_that_the_stage_does_not_name(traces, stage):
    def named(path):
        place = Path(path)
        # an out is written in .<name>.<pid> beside its place before it takes it
        taken = Path(*(re.sub(r"^\.(.+)\.\d+$", r"\1", part) for part in place.parts))
        code = place.suffix in (".py", ".pyc") and place.parts[0] == "pipeline"
        return path.startswith(EXEMPT) or code or any(taken.is_relative_to(each) for each in traces[stage]["named"])

    read = traces[stage]["read"]
    assert read, "nothing was watched"
    assert [path for path in read if not named(path)] == []


def lint_imports(folder):
    words = ["lint-imports", "--no-cache"]
    return subprocess.run(words, cwd=folder, env=ENV, capture_output=True, text=True, timeout=120, check=False)


def with_line(tmp_path, name="", line=""):
    """Copy the package and its contracts, with a line added to one file."""
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    if name:
        path = tmp_path / "pipeline" / name
        path.write_text(f"{path.read_text()}\n{line}\n")
    return tmp_path


def test_imports_keep_their_layers(tmp_path):
    done = lint_imports(with_line(tmp_path))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "line", "contract"),
    [
        ("training.py", "import mlflow", "mlflow is imported in one place"),
        ("stages/train.py", "from mlflow.tracking import MlflowClient", "mlflow is imported in one place"),
        ("stages/evaluate.py", "from pipeline.stages import train", "a stage never imports a stage"),
        ("contents/image.py", "from pipeline import families", "families and contents do not know each other"),
        ("networks.py", "import pipeline.training", "imports point one way"),
    ],
)
def test_import_that_breaks_a_contract_is_refused(tmp_path, name, line, contract):
    done = lint_imports(with_line(tmp_path, name, line))
    assert done.returncode == 1, done.stdout
    assert re.search(rf"^{contract} BROKEN\b", done.stdout, re.MULTILINE), done.stdout


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(each) for group in groups for each in group]


def pinned():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return [line for line in lines if line]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_is_pinned_within_its_range():
    versions = {normal(name): version for name, _, version in (line.partition("==") for line in pinned())}
    for each in requirements():
        assert normal(each.name) in versions, f"constraints.txt does not pin {each.name}"
        assert each.specifier.contains(versions[normal(each.name)], prereleases=True), each


def test_constraints_name_versions_and_no_index_or_host():
    odd = [line for line in pinned() if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( *;.*)?", line)]
    assert odd == []
    assert not re.search(r"://|--|@", (ROOT / "constraints.txt").read_text())
