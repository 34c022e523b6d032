import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.work import Work, fingerprint

PACKAGE = Path(__file__).parents[1] / "pipeline"


def fingerprint_of_code_in(folder):
    """Return the fingerprint that a process takes whose package lies in a folder."""
    code = "import pipeline.preparation; from pipeline.work import fingerprint; print(fingerprint({}))"
    words = [sys.executable, "-c", code]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_other_data_or_params_start_a_training_of_their_own():
    assert fingerprint({"data": "a", "seed": 0}) == fingerprint({"seed": 0, "data": "a"})
    assert len({fingerprint({"data": data, "seed": seed}) for data in "ab" for seed in (0, 1)}) == 4


def test_changed_code_starts_a_training_of_its_own_and_code_that_is_not_imported_does_not(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__"))
    first = fingerprint_of_code_in(tmp_path)
    with (tmp_path / "pipeline" / "cli.py").open("a") as file:
        file.write("# not imported\n")
    assert fingerprint_of_code_in(tmp_path) == first
    with (tmp_path / "pipeline" / "preparation.py").open("a") as file:
        file.write("# changed\n")
    assert fingerprint_of_code_in(tmp_path) != first


def test_the_run_of_a_killed_training_is_known_until_the_training_is_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert Work("a").run_id is None
    Work("a").run_id = "0123"
    assert Work("a").run_id == "0123"
    assert Work("b").run_id is None
    Work("a").clear()
    assert Work("a").run_id is None
