"""The stages of dvc.yaml, and the paths that they name."""

import os
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "PYTHON"))} | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "OMP_NUM_THREADS": "1",
}


def filled(text, params):
    """Return a path of dvc.yaml with each ${…} replaced by the value from params."""

    def look_up(found):
        value = params
        for name in found[1].split("."):
            value = value[name]
        return str(value)

    return re.sub(r"\$\{([\w.]+)\}", look_up, text)


def paths(stage, *kinds, params=PARAMS):
    """Return the paths that a stage names under some keys of dvc.yaml, relative to the root."""
    about = STAGES[stage]
    named = [each for kind in kinds for each in about.get(kind, [])]
    named = [next(iter(each)) if isinstance(each, dict) else each for each in named]
    return {os.path.normpath(Path(about.get("wdir", "."), filled(each, params))) for each in named}
