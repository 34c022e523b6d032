import json
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from whole import items_of, whole

from pipeline.contents.base import DataSpec
from pipeline.contents.code.content import CodeContent
from pipeline.contents.text.content import TextContent
from pipeline.params.sections import TextParams
from pipeline.system.errors import SourceError

BYTES = TextContent(64, "bytes", 256, "text", 0)
CODE = CodeContent(64, "bytes", 256, ".py", 0)
BOTH = [BYTES, CODE]
ODD = [
    "",
    " ",
    "\n",
    "<b>&amp;</b><script>alert(1)</script>",
    "\x01\x1b[31m\x7f",
    "�" * 20,
    "😀" * 16,
    "a" * 64,
    "\\\r\u2028",
]
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=16)


def noise(content, n=40):
    tokens = np.random.default_rng(0).integers(0, content.spec.vocab_size, (n, *content.spec.shape))
    return tokens.astype(content.spec.dtype)


@pytest.fixture(scope="module")
def topics(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "python-topics"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def pieces(topics):
    """Return a content with a learnt vocabulary."""
    settings = TextParams(length=64, vocabulary="bpe", vocabulary_size=512, field="text", most=0).model_dump()
    return TextContent(**settings, **TextContent(**settings).learn(whole(topics)))


def test_the_spec_says_tokens_and_their_type():
    assert BYTES.spec == DataSpec((64,), "sequence", vocab_size=256)
    assert BYTES.encode("a").dtype == np.uint8


def test_a_learnt_vocabulary_has_its_size_and_type(pieces):
    assert pieces.spec == DataSpec((64,), "sequence", vocab_size=512)
    assert pieces.encode("a").dtype == np.uint16


def test_bytes_that_the_documents_do_not_have_are_no_tokens(topics):
    learnt = BYTES.learn(whole(topics))
    content = TextContent(64, "bytes", 256, "text", 0, **learnt)
    assert content.spec.vocab_size == 1 + len(learnt["alphabet"]) < 128
    raws = [each.raw for each in items_of(content, topics)]
    encoded = np.stack([content.encode(raw) for raw in raws])
    assert content.decode(encoded) == raws
    assert encoded.max() < content.spec.vocab_size


def test_what_was_learnt_is_plain_and_the_same_again(topics, pieces):
    again = TextContent(64, "bpe", 512, "text", 0).learn(whole(topics))
    assert json.loads(json.dumps(again)) == again
    assert TextContent(64, "bpe", 512, "text", 0, **again).encode("again").tolist() == pieces.encode("again").tolist()


@settings(max_examples=200, deadline=None)
@given(raw=text)
def test_a_text_that_fits_comes_back_as_it_was_and_has_its_bytes_for_units(raw):
    encoded = BYTES.encode(raw)[None]
    assert BYTES.decode(encoded) == [raw]
    assert BYTES.units(encoded).tolist() == [len(raw.encode())]


def test_every_window_of_the_topics_comes_back_as_it_was(topics, pieces):
    for content in (BYTES, pieces):
        raws = [each.raw for each in items_of(content, topics)]
        encoded = np.stack([content.encode(raw) for raw in raws])
        assert len(raws) > 1500
        assert content.decode(encoded) == raws
        np.testing.assert_array_equal(content.units(encoded), [len(raw.encode()) for raw in raws])


def test_parts_of_a_document_are_grouped_and_nearly_the_same_ones_alike(topics):
    found = items_of(BYTES, topics)
    assert all(each.like for each in found)
    assert 50 < len({each.group for each in found}) < 100
    assert [each.raw for each in found] == [each.raw for each in items_of(BYTES, topics)]


def test_as_many_windows_as_asked_for_are_read(topics):
    found = items_of(TextContent(64, "bytes", 256, "text", 500), topics)
    assert len(found) == 500
    assert len({each.group for each in found}) > 50


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    for content in BOTH:
        for asked in (content.learn, content.read):
            with pytest.raises(SourceError, match=r"gone.*put documents there"):
                asked(whole(tmp_path / "gone"))


def test_a_longer_text_is_cut():
    assert BYTES.decode(BYTES.encode("x" * 100)[None]) == ["x" * 64]
    assert BYTES.decode(BYTES.encode("é" * 63 + "é")[None]) == ["é" * 32]


def test_what_a_model_may_write_is_text_that_can_be_sent_shown_and_saved(tmp_path, pieces):
    for content in (*BOTH, pieces):
        raws = content.decode(noise(content))
        assert json.loads(json.dumps(content.serialise(raws, "text"), ensure_ascii=False).encode()) == raws
        assert content.html(raws, raws[::-1])
        assert content.show(raws, 16).width < 2000
        content.save(raws[0], tmp_path / "a")
        assert (tmp_path / "a").read_bytes().decode() == raws[0]
        assert content.decode(np.stack([content.encode(raw) for raw in raws]))
        assert content.scores(raws, lambda raws=raws: raws)["longest_copy"].tolist() == [len(raw) for raw in raws]


def test_padding_stands_for_nothing_wherever_a_model_puts_it():
    array = np.zeros((2, 64), np.uint8)
    array[0, 3:5], array[0, 9] = (104, 105), 33
    assert BYTES.decode(array) == ["hi!", ""]
    assert BYTES.units(array).tolist() == [3, 0]


def test_reconstruction_loss_is_the_share_of_tokens_that_differ_without_common_padding():
    found = BYTES.reconstruction_scores(["abcd", "abcd", "", "ab"], ["abcd", "abxd", "", "abcd"])
    np.testing.assert_allclose(found["reconstruction_loss"], [0, 0.25, 0, 0.5])
    np.testing.assert_allclose(found["edit_similarity"], [1, 0.75, 1, 0.5])


def test_scores_say_what_is_copied_and_how_much_is_different():
    found = BYTES.scores(["the cat sat", "the dog"], lambda: ["a cat sat down", "dogs"])
    assert found["longest_copy"].tolist() == [len(" cat sat"), len("dog")]
    assert {name: float(value) for name, value in found.items() if value.shape == ()} == {
        "distinct_1": 4 / 5,
        "distinct_2": 1.0,
        "distinct_3": 1.0,
    }


class Reader(HTMLParser):
    """Parser of an HTML fragment as a browser sees it: its elements, and the text of each block."""

    def __init__(self, part):
        super().__init__()
        self.names, self.open, self.blocks, self.marked, self.attributes = set(), [], [], [], set()
        self.feed(part)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)
        if tag == "pre":
            self.blocks.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "pre":
            self.blocks[-1] = self.blocks[-1].removeprefix("\n")

    def handle_data(self, data):
        if "pre" in self.open:
            self.blocks[-1] += data
            self.marked += [data] if "mark" in self.open else []


@pytest.mark.parametrize("content", BOTH)
def test_a_page_shows_texts_as_they_are_and_runs_nothing_of_them(content):
    page = Reader(content.html(ODD))
    assert page.names <= {"style", "div", "pre", "span"}
    assert page.attributes <= {"class"}
    assert len(page.blocks) == len(ODD)
    assert page.blocks[3] == ODD[3]
    assert page.blocks[6] == ODD[6]
    assert page.blocks[2] == ODD[2]
    assert "http" not in content.html(ODD)


def test_a_page_of_reconstructions_marks_what_differs_in_both():
    page = Reader(BYTES.html(["the <cat> sat"], ["the <cow> sat"]))
    assert page.blocks == ["the <cat> sat", "the <cow> sat"]
    assert page.marked == ["at", "ow"]
    assert Reader(BYTES.html(["same"], ["same"])).marked == []


def test_a_picture_has_at_most_four_columns_and_room_for_captions():
    plain, captioned = BYTES.show(["words"] * 8, 16), BYTES.show(["words"] * 8, 16, [f"{i}" for i in range(8)])
    assert isinstance(plain, Image.Image)
    assert captioned.width == plain.width
    assert captioned.height > plain.height
    assert BYTES.show(["words"] * 8, 2).width < plain.width
    for content in BOTH:
        assert np.asarray(content.show(ODD, 3)).min() < 128
