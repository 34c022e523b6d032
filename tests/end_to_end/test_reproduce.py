"""`pipeline reproduce` on versions that the real pipeline made."""

import os
import signal

import psutil
import pytest
from waiting import wait_for
from workspace import NAME, attempt, begin, client, digests, do, errors, own_copy, read, runs

pytestmark = pytest.mark.slow

SALTED = {
    "pipeline/salt.py": lambda _: '"""New."""\n\nWORD = "other weights"\n',
    "pipeline/stages/train.py": lambda text: text.replace(
        "from pipeline.training.resume", "from pipeline.salt import WORD\nfrom pipeline.training.resume"
    ).replace('key(seed, "weights")', "key(seed, WORD)"),
}
"""Changes of the training's code: to a file that git tracks, and a new file."""


def reproduce(folder, tmp_path, version, **env):
    """Reproduce a version with a separate folder for temporary files, and check that it is empty afterwards."""
    place = tmp_path / "temporary"
    place.mkdir(exist_ok=True)
    done = attempt(folder, "pipeline", "reproduce", f"models:/{NAME}{version}", TMPDIR=str(place), **env)
    assert list(place.glob("reproduce-*")) == []
    return done


def state(folder):
    """Return the user's state: runs, versions, cache, work folders and files."""
    versions = client(folder).search_model_versions(f"name = '{NAME}'")
    return {
        "runs": [run.info.run_id for run in runs(folder)],
        "versions": [version.version for version in versions],
        "files": digests(folder, ".dvc/cache", ".pipeline/work", "model", "reports"),
        "git": do(folder, "git", "status", "--porcelain") + do(folder, "git", "worktree", "list"),
    }


def test_version_of_a_commit_is_trained_again_to_the_same_bytes_and_leaves_nothing(vae, challenger, tmp_path):
    before = state(vae)
    # reproduce uses as many threads as the training did, whatever the shell sets
    done = reproduce(vae, tmp_path, f"/{challenger.version}", OMP_NUM_THREADS="2")
    assert (done.returncode, errors(done.stderr)) == (0, [])
    assert done.stdout == f"same bytes: sha256 {challenger.tags['model_digest']}\n"
    assert "Running stage 'train'" in done.stderr
    assert "Running stage 'prepare'" not in done.stderr
    assert state(vae) == before


@pytest.fixture(scope="module")
def dirty(vae, store, tmp_path_factory):
    """A workspace with a version that an experiment made with changed code, which was reverted afterwards."""
    folder = own_copy(vae, store, tmp_path_factory.mktemp("dirty"))
    for name, change in SALTED.items():
        path = folder / name
        path.write_text(change(path.read_text() if path.exists() else ""))
    do(folder, "dvc", "exp", "run", "-S", "vae.beta=2.0")
    do(folder, "git", "checkout", "--quiet", ".")
    (folder / "pipeline/salt.py").unlink()
    return folder


def version_of(folder):
    return client(folder).get_model_version_by_alias(NAME, "challenger")


def test_version_of_an_experiment_with_changed_code_is_trained_again_to_the_same_bytes(vae, dirty, tmp_path):
    version = version_of(dirty)
    assert version.tags["git.dirty"] == "true"
    assert version.tags["git.commit"] == do(dirty, "git", "rev-parse", "HEAD").strip()
    assert version.tags["model_digest"] != read(vae / "reports/register/version.json")["model_digest"]
    done = reproduce(dirty, tmp_path, "@challenger")
    assert done.stdout == f"same bytes: sha256 {version.tags['model_digest']}\n", done.stderr
    assert done.returncode == 0


def test_version_whose_diff_was_lost_gives_other_bytes_and_the_reason(dirty, tmp_path):
    version = version_of(dirty)
    kept = dirty / "mlartifacts" / NAME / version.run_id / "artifacts" / version.tags["lineage"]
    (kept / "diff.patch").unlink()
    done = reproduce(dirty, tmp_path, "@challenger")
    assert (done.returncode, errors(done.stderr)) == (1, []), done.stderr
    assert "warning: diff.patch is missing" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("different bytes")
    rows = {tuple(line.split()[:2]) for line in lines if line.startswith("  ")}
    code = {("code", name) for name in ("diff.patch", "pipeline/salt.py", "pipeline/stages/train.py")}
    assert rows == code | {("model", "digest")}
    assert "not on record" in lines[-1]


def test_reproduction_that_is_stopped_leaves_no_clone_and_no_process(vae, challenger, tmp_path):
    process = begin(vae, "pipeline", "reproduce", f"models:/{NAME}/{challenger.version}", TMPDIR=str(tmp_path))
    wait_for(lambda: list(tmp_path.glob("reproduce-*/clone/.pipeline/work/*/lock")), 200, process)
    children = psutil.Process(process.pid).children(recursive=True)
    assert {"train"} & {word.rpartition(".")[2] for child in children for word in child.cmdline()}
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.glob("reproduce-*")) == []
    assert not [child for child in children if child.is_running()]


def test_version_that_does_not_exist_is_one_line(vae):
    done = attempt(vae, "pipeline", "reproduce", f"models:/{NAME}/99")
    assert (done.returncode, done.stdout) == (2, "")
    (error,) = done.stderr.splitlines()
    assert error.startswith(f"error: models:/{NAME}/99 is not a registered version")
