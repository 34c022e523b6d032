from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contents.base import Item, LeftOut, Rejected, Usable
from pipeline.contents.tokens import windows
from pipeline.contents.tokens.files import Document

PROSE = " ".join(f"word{'abcdefghij'[i % 10]}{'klmnopq'[i % 7]}{'rstuvwxyzab'[i % 11]} and" for i in range(300))


def in_bytes(text):
    return len(text.encode())


def cut(text):
    return list(windows.of_words(text, 64, in_bytes))


def raws(*documents):
    return [each.raw for each in windows.items(documents, cut) if isinstance(each, Item)]


def left_out(*documents):
    return [(each.origin, each.of) for each in windows.items(documents, cut) if isinstance(each, LeftOut)]


@settings(max_examples=200, deadline=None)
@given(text=st.text("ab é😀\n ", max_size=300), length=st.integers(4, 40))
def test_windows_fit_follow_each_other_and_begin_and_end_with_words(text, length):
    found = list(windows.of_words(text, length, in_bytes))
    place = 0
    for window in found:
        assert in_bytes(window) <= length
        assert window == window.strip()
        place = text.index(window, place) + len(window)


@settings(max_examples=100, deadline=None)
@given(words=st.lists(st.text("abc", min_size=1, max_size=8), min_size=1, max_size=60))
def test_no_word_is_lost_but_those_of_a_short_end(words):
    found = list(windows.of_words(" ".join(words), 16, in_bytes))
    kept = " ".join(found).split()
    assert kept == words[: len(kept)]
    assert in_bytes(" ".join(words[len(kept) :])) * 2 < 16


def test_a_window_holds_as_many_words_as_fit():
    assert list(windows.of_words("aaa bbb ccc ddd eee", 11, in_bytes)) == ["aaa bbb ccc", "ddd eee"]
    assert list(windows.of_words("aaa bbb ccc d", 11, in_bytes)) == ["aaa bbb ccc"]


def test_a_document_shorter_than_half_a_window_is_kept_whole():
    assert list(windows.of_words(" few words\n", 64, in_bytes)) == ["few words"]


def test_a_word_longer_than_a_window_is_cut_between_characters():
    assert list(windows.of_words("😀" * 9, 17, in_bytes)) == ["😀" * 4, "😀" * 4]
    assert "".join(windows.of_words("x" * 170, 17, in_bytes)) == "x" * 170


@pytest.mark.parametrize(
    "text",
    [
        "x" * 60_000,
        " ".join(["y" * 9_000] * 6),
        ("a " + "z" * 90 + " ") * 600,
        "é " * 30_000,
        " " + "few words " * 6_000,
    ],
    ids=["one word", "long words", "short and long words", "short words", "white space around"],
)
def test_cutting_a_text_reads_characters_linear_in_its_length(text):
    looked_at = 0

    def count(part):
        nonlocal looked_at
        looked_at += len(part)
        return len(part.encode())

    assert list(windows.of_words(text, 64, count))
    assert looked_at < 16 * len(text)


def test_windows_are_grouped_and_labelled_by_their_document():
    usable, *found = windows.items([Document(PROSE, "a.txt", "poems")], cut)
    assert usable == Usable("a.txt")
    assert len(found) > 20
    assert {(each.group, each.label) for each in found} == {("a.txt", "poems")}
    assert len({each.origin for each in found}) == len(found)


def test_a_document_that_is_nearly_another_gives_its_windows_once():
    words = PROSE.upper().split()
    words[5::60] = ["other"] * len(words[5::60])
    near = "  ".join(words)
    other = Document(PROSE.replace("word", "name").replace("and", "or"), "other")
    assert raws(Document(PROSE, "a"), Document(near, "b")) == cut(PROSE)
    assert left_out(other, Document(PROSE, "a"), Document(near, "b")) == [("b", "a")]


def test_a_part_of_an_earlier_document_gives_no_windows_wherever_it_is_cut():
    assert raws(Document(PROSE, "a"), Document(PROSE[1000:2500], "b")) == cut(PROSE)


def test_a_document_of_other_words_gives_all_of_its_windows():
    other = PROSE.replace("word", "name").replace("and", "or")
    assert raws(Document(PROSE, "a"), Document(other, "b")) == cut(PROSE) + cut(other)


def test_windows_that_stood_in_earlier_documents_name_the_one_that_had_most_of_them(tmp_path):
    new = " ".join(f"new{'abcdefghij'[i % 10]}{'klmnopq'[i % 7]} or" for i in range(200))
    documents = [Document(PROSE[:2000], "a"), Document(PROSE[2000:], "b"), Document(new + " " + PROSE[2000:2500], "c")]
    found = left_out(*documents)
    assert len(found) >= 6
    assert {of for _, of in found} == {"b"}
    assert all(origin.startswith("c[") for origin, _ in found)


def test_repetition_within_a_document_is_not_taken_for_an_earlier_document():
    assert raws(Document("one two three four five six. " * 20, "a")) == cut("one two three four five six. " * 20)


def test_texts_that_differ_in_case_white_space_and_digits_are_alike():
    assert windows.likeness("In  1984,\nHe") == windows.likeness("in 7, he ")
    assert windows.likeness("in 7, he") != windows.likeness("in 7, she")


def test_a_document_that_cannot_be_cut_is_rejected_and_what_was_rejected_stays_so():
    def refuse(text):
        raise ValueError("it is no song")

    found = list(windows.items([Rejected("a", "it is empty"), Document("words", "b")], refuse))
    assert found == [Rejected("a", "it is empty"), Rejected("b", "it is no song")]


@settings(max_examples=100, deadline=None)
@given(count=st.integers(0, 60), most=st.integers(0, 70))
def test_thinning_leaves_as_many_as_asked_for_evenly_spread(count, most):
    others = [Rejected("z", "it is empty"), Usable("y"), LeftOut("x", "y", "alike")]
    every = [*others, *(Item(str(i), str(i)) for i in range(count))]
    found = list(windows.thinned(lambda: iter(every), most))
    assert found[:3] == others
    places = [int(each.raw) for each in found[3:]]
    assert len(places) == (min(count, most) if most else count)
    steps = {b - a for a, b in pairwise(places)}
    assert max(steps, default=1) - min(steps, default=1) <= 1
