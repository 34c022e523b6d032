import pytest

from pipeline.system import disk
from pipeline.system.errors import ArtifactError


def test_a_replaced_folder_holds_only_what_was_written(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with disk.replacing(folder) as temporary:
        (temporary / "new").write_text("whole")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_stays_as_it_was_when_its_replacement_fails(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").write_text("whole")

    def fail():
        with disk.replacing(folder) as temporary:
            (temporary / "new").write_text("half")
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert (folder / "old").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_is_made_with_its_parents(tmp_path):
    with disk.replacing(tmp_path / "data" / "prepared") as temporary:
        (temporary / "a").touch()
    assert (tmp_path / "data" / "prepared" / "a").is_file()


def test_json_has_the_same_bytes_whatever_the_order_of_keys(tmp_path):
    disk.write_json(tmp_path / "a.json", {"b": 1, "a": {"d": [1, 2], "c": None}})
    disk.write_json(tmp_path / "b.json", {"a": {"c": None, "d": [1, 2]}, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert disk.read_json(tmp_path / "a.json", dict) == {"a": {"c": None, "d": [1, 2]}, "b": 1}


def test_json_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    disk.write_json(tmp_path / "a.json", {"a": 1})
    (tmp_path / ".writing").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space"):
        disk.write_json(tmp_path / "a.json", {"a": list(range(100_000))})
    assert disk.read_json(tmp_path / "a.json", dict) == {"a": 1}


def test_what_a_killed_write_left_does_not_hinder_the_next(tmp_path):
    (tmp_path / ".writing").write_text("half of a file, longer than the next one")
    disk.write_json(tmp_path / "a.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert disk.read_json(tmp_path / "a.json", dict) == {"a": 1}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_is_not_written(tmp_path, value):
    with pytest.raises(ValueError, match="JSON"):
        disk.write_json(tmp_path / "a.json", {"elbo": value})
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("corruption", [None, b"", b"{", b"\xff\xfe\x00"])
def test_json_that_is_missing_or_corrupt_is_one_line_that_names_it(tmp_path, corruption):
    if corruption is not None:
        (tmp_path / "a.json").write_bytes(corruption)
    with pytest.raises(ArtifactError, match=r"a\.json.*dvc repro") as caught:
        disk.read_json(tmp_path / "a.json", dict)
    assert "\n" not in str(caught.value)


def test_a_digest_of_values_does_not_depend_on_the_order_of_keys_but_on_every_value():
    assert disk.digest_of({"a": 1, "b": 2}) == disk.digest_of({"b": 2, "a": 1})
    assert disk.digest_of({"a": 1}) != disk.digest_of({"a": 2})


def test_a_digest_of_files_depends_on_their_bytes_and_their_order(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"1" * 3_000_000)
    b.write_bytes(b"2")
    assert disk.sha256(a, b) != disk.sha256(b, a)
    b.write_bytes(b"3")
    assert disk.sha256(a) != disk.sha256(a, b)
