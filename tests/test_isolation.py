"""Each stage runs in a folder with only the files that dvc.yaml names for it and the code that it imports."""

import gzip
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from stages import ENV, PARAMS, ROOT, STAGES, paths

from pipeline.system import dependencies

SOURCE = "small"
TINY = {
    "prepare": {"source": SOURCE},
    "features": {"epochs": 1, "width": 8, "dimensions": 8},
    "vae": {"latent_dim": 4, "width": 8, "blocks": 0, "components": 2},
    "train": {"epochs": 1, "batch_size": 200, "warmup_steps": 1},
    "evaluate": {"samples": 100, "reconstructions": 20},
}
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
        if reading and path.startswith(root) and not os.path.isdir(path):
            seen.add(path.removeprefix(root))
sys.addaudithook(note)
try:
    runpy.run_module(f"pipeline.stages.{sys.argv[1]}", run_name="__main__", alter_sys=True)
finally:
    Path(sys.argv[2]).write_text(json.dumps(sorted(seen)))
"""
HANDED_OVER = ("dataset.json", "train.npy", "test.npy", "extractor.json", "model.json", "weights.safetensors")
OURS = ("params.yaml", "pipeline", "data/weights")
"""Paths of the repository that no stage makes."""
CODE = "reports/validate/code/{}.json"
EXEMPT = ("params.yaml", "dvc.yaml", ".git", ".pipeline", "mlflow.db")
GIT_FILES = ("HEAD", "commondir")
"""What git looks for in the folders of the program, and does not find, when MLflow asks for the commit."""


def small_source(folder):
    """Write the first 600 images of the embedded dataset."""
    folder.mkdir(parents=True)
    for kind, size in (("images-idx3", 28 * 28), ("labels-idx1", 1)):
        name = f"t10k-{kind}-ubyte.gz"
        data = gzip.decompress((ROOT / "data/raw/fashion-mnist-10k" / name).read_bytes())
        start = 16 if size > 1 else 8
        head = data[:4] + struct.pack(">I", 600) + data[8:start]
        (folder / name).write_bytes(gzip.compress(head + data[start : start + 600 * size]))


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """Results of each stage in a folder where every file that dvc.yaml does not name for it is absent or empty.

    Each has the exit code with stderr, the files below that folder that it opened to read, and the missing outs.
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
        code = json.loads((store / CODE.format(stage)).read_text()) if stage in dependencies.STAGES else {}
        for name in {"params.yaml", *paths(stage, "deps", params=params), *code}:
            from_ = ROOT / name if name.startswith(OURS) else store / name
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
def test_stage_makes_its_outs_from_the_files_that_it_names_alone(traces, stage):
    code, errors = traces[stage]["ended"]
    assert code == 0, errors
    assert traces[stage]["missing"] == []


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_no_file_is_read_that_the_stage_does_not_name(traces, stage):
    def named(path):
        place = Path(path)
        # an out is written to .<name>.new beside its place, then renamed
        taken = Path(*(re.sub(r"^\.(.+)\.new$", r"\1", part) for part in place.parts))
        code = place.parts[0] == "pipeline" and (place.suffix in (".py", ".pyc") or place.name in GIT_FILES)
        return path.startswith(EXEMPT) or code or any(taken.is_relative_to(each) for each in traces[stage]["named"])

    read = traces[stage]["read"]
    assert read, "no file was traced"
    assert [path for path in read if not named(path)] == []
