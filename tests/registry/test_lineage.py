import pytest
from stages import ROOT, STAGES, paths

from pipeline.registry import lineage
from pipeline.system import disk
from pipeline.system.git import READ, Revision


@pytest.fixture
def workspace(tmp_path):
    """A workspace where the stages before `register` ran."""
    folder = tmp_path / "workspace"
    disk.write_json(folder / "reports/train/environment.json", {"python": "3.12"})
    disk.write_json(folder / "reports/train/run.json", {"run_id": "r"})
    (folder / "reports/evaluate").mkdir()
    for name in (lineage.EVIDENCE, *lineage.PICTURES):
        (folder / "reports/evaluate" / name).write_bytes(name.encode())
    return folder


def collected(workspace, to, diff=b""):
    to.mkdir()
    return lineage.collect(workspace, Revision("c" * 40, "main", diff), to)


def test_a_clean_version_outside_of_dvc_keeps_the_environment_and_the_record_of_its_training(workspace, tmp_path):
    digests = collected(workspace, tmp_path / "kept")
    assert digests.keys() == {"environment_digest"}
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"environment.json", "run.json"}


def test_a_version_keeps_the_evidence_and_the_pictures_of_its_evaluation(workspace, tmp_path):
    digests = lineage.evaluation(workspace, tmp_path)
    assert digests == {"evidence_digest": disk.sha256(tmp_path / lineage.EVIDENCE)}
    assert all((tmp_path / name).read_bytes() == name.encode() for name in (lineage.EVIDENCE, *lineage.PICTURES))


def test_a_dirty_version_keeps_difference_and_lock_byte_by_byte_with_their_digests(workspace, tmp_path):
    (workspace / "dvc.lock").write_bytes(b"schema: '2.0'\r\n")
    digests = collected(workspace, tmp_path / "kept", b"diff \xff\n")
    assert (tmp_path / "kept/diff.patch").read_bytes() == b"diff \xff\n"
    assert (tmp_path / "kept/dvc.lock").read_bytes() == b"schema: '2.0'\r\n"
    assert digests["diff_digest"] == disk.sha256(tmp_path / "kept/diff.patch")
    assert digests["lock_digest"] == disk.sha256(workspace / "dvc.lock")


def test_another_environment_has_another_digest(workspace, tmp_path):
    before = collected(workspace, tmp_path / "one")
    disk.write_json(workspace / "reports/train/environment.json", {"python": "3.13"})
    assert collected(workspace, tmp_path / "two") != before


@pytest.mark.parametrize("stage", STAGES)
def test_a_new_file_that_a_stage_reads_is_part_of_the_difference(stage):
    made = set().union(*(paths(each, "outs", "metrics") for each in STAGES))
    read = paths(stage, "deps") - made
    assert [path for path in read if not any((ROOT / path).is_relative_to(ROOT / each) for each in READ)] == []


def test_params_of_the_commit_are_flat_and_none_where_there_is_no_commit(tmp_path):
    assert lineage.committed(ROOT)["train.batch_size"] > 0
    assert lineage.committed(tmp_path) == {}
