import json

import pytest
from whole import whole

from pipeline.contents.base import Rejected
from pipeline.contents.tokens import files as text_files


def reason(found):
    (only,) = found
    assert isinstance(only, Rejected)
    assert "\n" not in only.reason
    return only.reason


@pytest.mark.parametrize("suffix", [".txt", ".md", ".rst", ""])
def test_a_file_of_any_ending_is_a_document_whose_class_is_its_first_subfolder(tmp_path, suffix):
    (tmp_path / "poems/old").mkdir(parents=True)
    (tmp_path / f"poems/old/a{suffix}").write_text("äöü 😀\n", encoding="utf-8")
    (tmp_path / f"b{suffix}").write_text("b")
    first, second = text_files.prose(whole(tmp_path), "text")
    assert (first.text, first.label) == ("b", None)
    assert (second.text, second.origin, second.label) == ("äöü 😀\n", f"poems/old/a{suffix}", "poems")


def test_files_about_the_data_and_hidden_ones_are_no_documents(tmp_path):
    (tmp_path / ".git").mkdir()
    for name in ("README.md", "LICENSE", "source.json", ".hidden", ".git/a.txt"):
        (tmp_path / name).write_text("words")
    assert list(text_files.prose(whole(tmp_path), "text")) == []


def test_documents_come_in_the_same_order_whatever_the_order_of_the_folder(tmp_path):
    for name in ("c", "a", "b"):
        (tmp_path / name).write_text(name)
    assert [each.text for each in text_files.prose(whole(tmp_path), "text")] == ["a", "b", "c"]


def test_line_ends_and_byte_order_marks_of_other_systems_are_taken_off(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    (found,) = text_files.prose(whole(tmp_path), "text")
    assert found.text == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("words".encode("utf-16"), "not UTF-8"),
        ("größe".encode("latin-1"), "not UTF-8 from byte 2 on"),
        (b"cut off \xf0\x9f\x98", "not UTF-8 from byte 8 on"),
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"a\0b", "NUL"),
    ],
)
def test_a_file_that_is_no_text_is_rejected_with_its_reason(tmp_path, data, said):
    (tmp_path / "a.txt").write_bytes(data)
    assert said in reason(text_files.prose(whole(tmp_path), "text"))


def test_a_link_to_nowhere_is_rejected(tmp_path):
    (tmp_path / "a.py").symlink_to(tmp_path / "gone")
    assert "broken link" in reason(text_files.prose(whole(tmp_path), "text"))
    assert "broken link" in reason(text_files.sources(whole(tmp_path), ".py"))


def test_each_line_of_json_is_a_document_of_its_own(tmp_path):
    lines = [json.dumps({"body": "one\ntwo", "id": 1}), "", json.dumps({"body": "drei ß"}, ensure_ascii=False)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    first, second = text_files.prose(whole(tmp_path), "body")
    assert (first.text, first.origin) == ("one\ntwo", "a.jsonl:1")
    assert (second.text, second.origin) == ("drei ß", "a.jsonl:3")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "cut', "not a line of JSON"),
        ('{"text": "\\ud800"}', "not a line of JSON"),
        ("[" * 100_000, "not a line of JSON"),
        ('{"body": "words"}', "'text'"),
        ('{"text": 3}', "'text'"),
        ('{"text": null}', "'text'"),
        ("[1]", "'text'"),
        ("3", "'text'"),
        ('"text"', "'text'"),
        ('{"text": " "}', "empty"),
        ('{"text": "a\\u0000b"}', "NUL"),
    ],
)
def test_a_line_that_is_no_document_is_rejected_and_the_others_are_read(tmp_path, line, said):
    (tmp_path / "a.jsonl").write_text(line + '\n{"text": "sound"}\n')
    bad, good = text_files.prose(whole(tmp_path), "text")
    assert said in reason([bad])
    assert bad.origin == "a.jsonl:1"
    assert good.text == "sound"


def test_lines_of_json_that_are_no_utf8_are_rejected_alone_and_old_line_ends_are_known(tmp_path):
    lines = b'{"text": "a"}\r\n{"text": "b\xe9"}\n{"id": "\xe9", "text": "c"}\r{"text": "d"}'
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + lines)
    first, second, third, last = text_files.prose(whole(tmp_path), "text")
    assert (first.text, last.text, last.origin) == ("a", "d", "a.jsonl:4")
    assert [each.origin for each in (second, third)] == ["a.jsonl:2", "a.jsonl:3"]
    assert "UTF-8" in reason([second])
    assert "UTF-8" in reason([third])


def test_json_lines_with_nothing_on_them_are_an_empty_file(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n  \n")
    assert reason(text_files.prose(whole(tmp_path), "text")) == "it is empty"


def test_only_files_of_the_ending_are_sources_and_empty_ones_are_none(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").touch()
    (tmp_path / "pkg/a.py").write_text("a = 1\n")
    (tmp_path / "pkg/a.pyi").write_text("a: int\n")
    assert [(each.origin, each.label) for each in text_files.sources(whole(tmp_path), ".py")] == [("pkg/a.py", "pkg")]
    assert [each.text for each in text_files.sources(whole(tmp_path), ".pyi")] == ["a: int\n"]


def test_the_topics_of_the_manual_are_known_by_name_and_come_in_order(tmp_path):
    found = list(text_files.prose(whole(tmp_path / "python-topics"), "text"))
    names = [each.origin for each in found]
    assert len(found) > 50
    assert names == sorted(names)
    assert sum(len(each.text) for each in found) > 300_000


def test_the_standard_library_is_known_by_name_and_has_neither_tests_nor_tables(tmp_path):
    found = {each.origin: each for each in text_files.sources(whole(tmp_path / "python-library"), ".py")}
    assert found["json/decoder.py"].label == "json"
    assert found["dataclasses.py"].label is None
    assert not any(each.startswith(("test/", "encodings/", "site-packages/", "pydoc_data/")) for each in found)
    assert not any("/tests/" in each for each in found)
    assert sum(isinstance(each, Rejected) for each in found.values()) < 0.01 * len(found)
