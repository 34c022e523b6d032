"""Workspaces in which the real pipeline ran with tiny params, made once a session."""

import shutil
import sys

import pytest
from workspace import NAME, ROOT, TINY, client, digests, do, edit, own_copy, run_id, runs


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A commit of the working tree's files with tiny params, before any run."""
    folder = tmp_path_factory.mktemp("end to end") / "clone"
    listed = do(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in listed.split("\0"):
        if name and name != "dvc.lock" and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    edit(folder, TINY)
    do(folder, "git", "init", "--quiet", "--initial-branch", "main")
    do(folder, "git", "add", ".")
    do(folder, "git", "commit", "--quiet", "--message", "a clone")
    return folder


@pytest.fixture(scope="session")
def vae(fresh):
    """A workspace in which the default pipeline ran once; tests only read it."""
    do(fresh, "dvc", "repro")
    do(fresh, "git", "add", "dvc.lock")
    do(fresh, "git", "commit", "--quiet", "--message", "the first results")
    return fresh


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """An empty tracking store to copy, since the migration of a fresh one takes seconds."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "dvc.yaml").touch()
    do(folder, sys.executable, "-c", "from pipeline import tracking; tracking.connect()")
    return folder / "mlflow.db"


@pytest.fixture
def copy(vae, store, tmp_path):
    """A copy of the workspace with DVC's cache and all outs, and an empty tracking store."""
    return own_copy(vae, store, tmp_path)


@pytest.fixture(scope="session")
def challenger(vae):
    """The challenger after the first run of the default pipeline, before any other version."""
    return client(vae).get_model_version_by_alias(NAME, "challenger")


@pytest.fixture(scope="session")
def toggled(vae, challenger, tmp_path_factory):
    """Observations while `family` changes from vae to gan and back, which leaves the workspace unchanged.

    `gan` is a copy of model/ and reports/ of the GAN.
    """
    found = {"first": run_id(vae), "model": digests(vae, "model")}
    do(vae, "dvc", "exp", "run", "-S", "family=gan")
    found["second"], found["gan"] = run_id(vae), tmp_path_factory.mktemp("gan")
    for name in ("model", "reports"):
        shutil.copytree(vae / name, found["gan"] / name)
    found["diff"] = do(vae, "dvc", "metrics", "diff", "--json")
    do(vae, "dvc", "exp", "run", "-S", "family=vae")
    found["third"] = run_id(vae)
    found["challenger"] = client(vae).get_model_version_by_alias(NAME, "challenger").tags["family"]
    do(vae, "git", "checkout", "--quiet", ".")  # DVC writes params.yaml in its own style
    found["runs"] = runs(vae)
    return found
