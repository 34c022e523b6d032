"""The import layers hold, and lint-imports detects a break of each."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from stages import ENV, ROOT


def lint_imports(folder):
    words = ["lint-imports", "--no-cache"]
    return subprocess.run(words, cwd=folder, env=ENV, capture_output=True, text=True, timeout=120, check=False)


def with_line(tmp_path, name="", line=""):
    """Copy the package and its contracts, add a line to one file, and return the copy."""
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
        ("training/trainer.py", "import mlflow", "mlflow is imported in one place"),
        ("stages/train.py", "from mlflow.tracking import MlflowClient", "mlflow is imported in one place"),
        ("stages/evaluate.py", "from pipeline.stages import train", "a stage never imports a stage"),
        (
            "contents/image/content.py",
            "from pipeline.models import families",
            "families and contents do not know each other",
        ),
        ("models/networks/grid.py", "import pipeline.training.trainer", "imports point one way"),
    ],
)
def test_import_that_breaks_a_contract_is_refused(tmp_path, name, line, contract):
    done = lint_imports(with_line(tmp_path, name, line))
    assert done.returncode == 1, done.stdout
    assert re.search(rf"^{contract} BROKEN\b", done.stdout, re.MULTILINE), done.stdout


def test_byte_code_is_not_left_truncated_on_a_full_disk(tmp_path):
    shutil.copytree(ROOT / "pipeline", tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); import pipeline.system.processes"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for code in (limit, "import pipeline.system.processes"):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=True, timeout=60)
        written = sorted({path.name.partition(".")[0] for path in tmp_path.rglob("__pycache__/*")})
        assert written == (["__init__"] if code == limit else ["__init__", "errors", "processes"])
