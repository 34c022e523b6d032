import pytest
from git_repository import git

from pipeline.system.git import Revision, committed


@pytest.fixture
def place(tmp_path):
    """A repository with a commit that holds code, params and notes."""
    folder = tmp_path / "repository"
    for name in ("pipeline/code.py", "params.yaml", "notes.txt", "dvc.lock", "dvc.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name}\n")
    (folder / ".gitignore").write_text("*.cache\n")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main", "repository")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "begin")
    return folder


def test_a_commit_with_a_lock_that_dvc_is_writing_is_the_commit_alone(place):
    (place / "dvc.lock").write_text("half\n")
    found = Revision.of(place)
    assert found == Revision(git(place, "rev-parse", "HEAD"), "main", b"")
    assert found.tags["git.dirty"] == "false"


def test_the_difference_applied_to_the_commit_gives_the_same_files(place, tmp_path):
    git(place, "config", "diff.noprefix", "true")
    git(place, "config", "color.ui", "always")
    (place / "pipeline/code.py").write_bytes(b"changed\n")
    (place / "pipeline/new.py").write_text("new\n")
    (place / "pipeline/table.bin").write_bytes(bytes(range(256)))
    (place / "params.yaml").unlink()
    (place / "notes.txt").write_text("more\n")
    (place / "notes.txt").chmod(0o755)
    found = Revision.of(place)
    assert found.tags["git.dirty"] == "true"
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(place), str(other))
    (tmp_path / "patch").write_bytes(found.diff)
    git(other, "apply", str(tmp_path / "patch"))
    for folder in (place, other):
        assert not (folder / "params.yaml").exists()
    for name in ("pipeline/code.py", "pipeline/new.py", "pipeline/table.bin", "notes.txt"):
        assert (other / name).read_bytes() == (place / name).read_bytes()


def test_new_files_that_no_stage_reads_are_not_part_of_the_diff(place):
    (place / "secret.txt").write_text("a password\n")
    (place / "pipeline/left.cache").write_text("ignored\n")
    assert not Revision.of(place).dirty


def test_looking_leaves_what_the_user_staged_as_it_was(place):
    (place / "pipeline/new.py").write_text("new\n")
    (place / "notes.txt").write_text("staged\n")
    git(place, "add", "notes.txt")
    before = git(place, "status", "--porcelain")
    assert b"+staged" in Revision.of(place).diff
    assert git(place, "status", "--porcelain") == before


def test_a_folder_without_a_commit_cannot_be_made_again(tmp_path):
    assert Revision.of(tmp_path).tags == {"git.commit": "", "git.branch": "", "git.dirty": "true"}
    git(tmp_path, "init", "--quiet")
    assert Revision.of(tmp_path).tags == {"git.commit": "", "git.branch": "", "git.dirty": "true"}
    assert committed(tmp_path, "params.yaml") == b""


def test_a_file_as_committed_is_not_the_one_that_lies_there(place):
    (place / "params.yaml").write_text("other\n")
    assert committed(place, "params.yaml") == b"params.yaml\n"
