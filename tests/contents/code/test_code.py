import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from whole import items_of, whole

from pipeline.contents.base import Item, Rejected
from pipeline.contents.code import token_kinds as code_kinds
from pipeline.contents.code.content import CodeContent
from pipeline.params.sections import CodeParams
from pipeline.system.errors import SourceError

CODE = CodeContent(128, "bytes", 256, ".py", 0)
TEXTS = {"distinct_1", "distinct_2", "distinct_3", "longest_copy"}
SOUND = (
    "def f(path):\n    with open(path) as file:\n        return file.read()\n\n\nclass Reader:\n    name = 'reader'\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "pkg/deep").mkdir(parents=True)
    (tmp_path / "pkg/deep/a.py").write_text(SOUND)
    (tmp_path / "b.py").write_text("values = [each.strip() for each in lines]\nprint(*values)\n")
    return tmp_path


def counts(source):
    """Return the kinds of a source's tokens, by name."""
    row = code_kinds.kinds([source]).toarray()[0]
    return {kind: int(row[column]) for kind, column in code_kinds.COLUMN.items() if row[column]}


def test_windows_are_grouped_by_file_and_labelled_by_package(folder):
    found = items_of(CodeContent(64, "bytes", 256, ".py", 0), folder)
    assert {(each.group, each.label) for each in found} == {("b.py", None), ("pkg/deep/a.py", "pkg")}


def test_every_window_parses_and_comes_back_as_it_was(folder):
    raws = [each.raw for each in items_of(CODE, folder)]
    assert CODE.decode(np.stack([CODE.encode(raw) for raw in raws])) == raws
    assert CODE.scores(raws, lambda: raws)["parses"].tolist() == [1.0] * len(raws)


def test_files_that_are_no_python_are_rejected_and_the_others_read(folder):
    (folder / "old.py").write_text("print 'old'\n")
    (folder / "binary.py").write_bytes(b"a = 1\0")
    (folder / "latin.py").write_bytes("# größe\n".encode("latin-1"))
    found = list(CODE.read(whole(folder)))
    said = {each.origin: each.reason for each in found if isinstance(each, Rejected)}
    assert set(said) == {"old.py", "binary.py", "latin.py"}
    assert "cannot parse" in said["old.py"]
    assert sum(isinstance(each, Item) for each in found) == 2


def test_a_vocabulary_is_learnt_from_sources_and_its_windows_come_back(folder):
    values = CodeParams(length=32, vocabulary="bpe", vocabulary_size=300, suffix=".py", most=0).model_dump()
    content = CodeContent(**values, **CodeContent(**values).learn(whole(folder)))
    raws = [each.raw for each in items_of(content, folder)]
    assert raws
    assert content.decode(np.stack([content.encode(raw) for raw in raws])) == raws


def test_each_item_is_scored_by_whether_and_how_far_it_parses():
    raws = [SOUND, "a = 1\nb = = 2\n", "return x", "", "def f(:", "a\0", "(" * 5000, "é = 'ü'", "a = 1\nb = 2\n)\n)"]
    found = CODE.scores(raws, lambda: [SOUND])
    assert found["parses"].tolist() == [1, 0, 1, 0, 0, 0, 0, 1, 0]
    np.testing.assert_allclose(found["parsing_prefix"], [1, 0.5, 1, 0, 0, 0, 0, 1, 0.5])


def test_the_longest_prefix_counts_though_a_shorter_one_does_not_parse():
    # "if a:" parses only with its body
    assert code_kinds.parsing_prefix("if a:\n    b()\n)\n") == pytest.approx(2 / 3)


def test_kinds_distinguish_keywords_and_operators_from_names_and_literals():
    assert counts("if a.b >= 1.5:  # why\n    return 'x'\n") == {
        "if": 1, "NAME": 2, ".": 1, ">=": 1, "NUMBER": 1, ":": 1, "COMMENT": 1, "NEWLINE": 2, "INDENT": 1,
        "return": 1, "STRING": 1, "DEDENT": 1,
    }  # fmt: skip


@pytest.mark.parametrize("source", ["a = (1", "'''open", "a = $", "    a\n  b\n", "'open", "?"])
def test_an_error_is_counted_where_the_tokenizer_fails(source):
    assert counts(source)["ERROR"] >= 1


@settings(max_examples=200, deadline=None)
@given(sources=st.lists(st.text(max_size=40), max_size=4))
def test_any_text_has_kinds_scores_and_a_page(sources):
    found = CODE.histograms(sources)
    assert {name: each.shape[0] for name, each in found.items()} == {"gram": len(sources), "kind": len(sources)}
    scores = CODE.scores(sources, list)
    assert scores["longest_copy"].tolist() == [0] * len(sources)
    assert (scores["parsing_prefix"] >= scores["parses"]).all()
    assert CODE.html(sources).count("<pre") == len(sources)


def test_a_page_of_sources_has_their_kinds_as_classes():
    page = CODE.html(["def f():\n    return 'x'  # why\n"])
    for part in ('"keyword">def<', '"name">f<', '"comment"># why<', '"string">'):
        assert part in page


def test_a_picture_shows_the_lines_of_a_source_and_ends_where_there_are_too_many():
    short, long = CODE.show(["a = 1"], 1), CODE.show(["a = 1\n" * 10], 1)
    assert short.height < long.height < CODE.show(["a = 1\n" * 100], 1).height < 2 * long.height


@pytest.mark.parametrize("suffix", [".py", ".pyi", ".pyw", ".PY"])
def test_python_has_the_scores_and_histograms_that_need_a_parser(suffix, folder):
    (folder / f"c{suffix}").write_text(SOUND)
    content = CodeContent(64, "bytes", 256, suffix, 0)
    raws = [each.raw for each in content.read(whole(folder)) if isinstance(each, Item)]
    assert set(content.scores(raws, list)) == TEXTS | {"parses", "parsing_prefix"}
    assert set(content.histograms(raws)) == {"gram", "kind"}
    assert "keyword" in content.html(raws[:1])


@pytest.mark.parametrize("suffix", [".js", ".d.ts", ".c++", ".pyx"])
def test_other_languages_are_read_as_lines_without_scores_of_their_grammar(suffix, folder):
    source = "".join(f"function f{i}(a) {{\n  return a + {i};\n}}\n" for i in range(20))
    (folder / f"c{suffix}").write_text(source)
    content = CodeContent(64, "bytes", 256, suffix, 0)
    found = items_of(content, folder)
    assert {each.group for each in found} == {f"c{suffix}"}
    raws = [each.raw for each in found]
    assert "\n".join(raws) + "\n" == source
    assert set(content.scores(raws, list)) == TEXTS
    assert set(content.histograms(raws)) == {"gram"}
    assert "<span" not in content.html(raws)


def test_a_sample_lies_in_a_file_of_the_suffix_that_was_read():
    assert [CodeContent(64, "bytes", 256, each, 0).suffix for each in (".py", ".js")] == [".py", ".js"]


def test_a_source_without_a_file_of_the_suffix_says_which_param_to_set(folder):
    (folder / "A.JS").write_text("let a = 1;\n")
    with pytest.raises(SourceError, match=r"no non-empty files whose names end in \.js; set code\.suffix"):
        CodeContent(64, "bytes", 256, ".js", 0).learn(whole(folder))


@pytest.mark.parametrize("suffix", ["", ".", "..", "js", "*.js", ".j s", ".a/b", ".\n", "." + "a" * 255])
def test_a_suffix_that_no_file_can_have_is_refused(suffix):
    with pytest.raises(ValidationError, match=r"a dot and more|at most 255|without control characters"):
        CodeParams(length=32, vocabulary="bytes", vocabulary_size=300, suffix=suffix, most=0)
