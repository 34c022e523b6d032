"""Files of commits and experiments, from a tiny repository in which DVC really ran."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.system.errors import ArtifactError
from pipeline.system.git import fetch

OUT, KEPT = Path("reports/out.txt"), Path("params.yaml")
STAGES = """
stages:
  copy:
    cmd: cp params.yaml reports/out.txt
    params: [x]
    outs: [reports/out.txt]
"""
BEGIN = """
git init -q && git config user.name me && git config user.email me@here && dvc init -q
echo 'x: 0' > params.yaml && mkdir reports
dvc repro -q && git add -A && git commit -qm first
dvc exp run -q -n other -S x=1
git checkout -q . && dvc checkout -q
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    (folder / "dvc.yaml").write_text(STAGES)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "GIT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    subprocess.run(["bash", "-euc", BEGIN], cwd=folder, env=env | {"PATH": path, "DVC_NO_ANALYTICS": "1"}, check=True)
    return folder


@pytest.mark.parametrize(("name", "x"), [("HEAD", 0), ("other", 1)])
def test_a_commit_and_an_experiment_give_their_own_files(repository, tmp_path, name, x):
    assert fetch(repository, name, (OUT, KEPT), tmp_path)
    assert (tmp_path / OUT).read_text() == (tmp_path / KEPT).read_text() == f"x: {x}\n"


@pytest.mark.parametrize("name", ["nothing", "0" * 32, "models:/clothes@champion", "it's"])
def test_what_is_no_revision_is_looked_for_elsewhere(repository, tmp_path, name):
    assert not fetch(repository, name, (OUT,), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_outside_of_dvc_has_no_revisions(tmp_path):
    assert not fetch(tmp_path, "HEAD", (OUT,), tmp_path / "to")


def test_a_file_that_a_revision_does_not_have_is_one_line(repository, tmp_path):
    with pytest.raises(ArtifactError, match=r"reports/none of HEAD cannot be fetched .*`dvc fetch`") as caught:
        fetch(repository, "HEAD", (Path("reports/none"),), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_that_the_cache_does_not_hold_is_one_line(repository, tmp_path):
    bare = Path(shutil.copytree(repository, tmp_path / "bare"))
    shutil.rmtree(bare / ".dvc" / "cache")
    (bare / OUT).unlink()
    with pytest.raises(ArtifactError, match=r"reports/out.txt of HEAD cannot be fetched"):
        fetch(bare, "HEAD", (OUT,), tmp_path / "to")
