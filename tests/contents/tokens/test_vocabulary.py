import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contents.text.content import TextContent
from pipeline.contents.tokens import vocabulary

TEXTS = ["the cat sat on the mat. " * 9, "größer, 😀 <pad> 2024\n\n    indented\ttab", "the bat's hat " * 5]
TOKENIZER = vocabulary.learn_bpe(TEXTS, 300)
BOTH = [vocabulary.Bytes(), vocabulary.Bpe(TOKENIZER)]
FEW = vocabulary.Bytes(vocabulary.learn_bytes(["abc é"]))
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)


@pytest.mark.parametrize("words", BOTH)
@settings(max_examples=200, deadline=None)
@given(raw=text)
def test_any_text_is_its_tokens_again(words, raw):
    tokens = words.tokens(raw)
    assert words.data(tokens).decode() == raw
    assert words.lengths()[tokens].sum() == len(raw.encode())
    assert not (tokens == 0).any()
    assert (tokens < words.size).all()


@pytest.mark.parametrize("words", BOTH)
def test_text_that_looks_like_padding_or_is_no_unicode_is_text(words):
    assert words.data(words.tokens("<pad><unk></s>")) == b"<pad><unk></s>"
    assert words.data(words.tokens("a\ud800b")) == b"a?b"


@pytest.mark.parametrize("words", BOTH)
@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_any_tokens_stand_for_bytes_and_padding_for_none(words, seed):
    tokens = np.random.default_rng(seed).integers(0, words.size, 50)
    tokens[::7] = 0
    assert len(words.data(tokens)) == words.lengths()[tokens].sum()
    assert words.data(tokens) == words.data(tokens[tokens != 0])


def test_the_bytes_of_texts_are_tokens_and_no_others_nor_padding():
    assert vocabulary.learn_bytes(["ba", "\0é\ud800"]) == [0x3F, 0x61, 0x62, 0xA9, 0xC3]
    assert vocabulary.learn_bytes([]) == []
    assert FEW.size == 1 + len("abc é".encode())
    assert FEW.data(FEW.tokens("abécedaire")) == "abéca".encode()


@settings(max_examples=100, deadline=None)
@given(raw=st.text(st.sampled_from("abc é"), max_size=40))
def test_a_text_of_an_alphabet_is_its_tokens_again(raw):
    tokens = FEW.tokens(raw)
    assert FEW.data(tokens).decode() == raw
    assert tokens.dtype == np.uint8
    assert ((tokens > 0) & (tokens < FEW.size)).all()
    assert FEW.lengths()[tokens].sum() == len(raw.encode())


def test_every_single_byte_has_a_token_when_it_is_learnt():
    words = vocabulary.Bpe(vocabulary.learn_bpe(["a"], 258))
    found = {words.data(np.array([token])) for token in range(1, words.size)}
    assert {bytes([byte]) for byte in range(256)} <= found


def test_a_learnt_vocabulary_has_the_size_asked_for_or_what_the_texts_give():
    assert vocabulary.Bpe(TOKENIZER).size == 300
    assert vocabulary.Bpe(vocabulary.learn_bpe(["ab ab"], 300)).size < 300
    assert len(vocabulary.Bpe(TOKENIZER).lengths()) == 300


def test_a_learnt_vocabulary_writes_its_texts_in_fewer_tokens():
    assert len(vocabulary.Bpe(TOKENIZER).tokens(TEXTS[0])) < len(TEXTS[0]) / 2


def test_the_same_texts_give_the_same_tokenizer_in_every_process():
    # many pairs tie here, since all words are equally frequent
    program = (
        "from pipeline.contents.tokens import vocabulary\n"
        "texts = [f'{a}{b}{c} ' for a in 'abcdefgh' for b in 'ijklmnop' for c in 'qrstuvwx']\n"
        "print(vocabulary.learn_bpe(texts, 400))"
    )
    runs = [subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    assert len(runs[0]) > 1000


def tokenizer(**changes):
    """Return a tokenizer's JSON with some parts changed."""
    tree = json.loads(TOKENIZER)
    for place, value in changes.items():
        at = tree["model"] if place in tree["model"] else tree
        at[place] = value(at[place]) if callable(value) else value
    return {"tokenizer": json.dumps(tree)}


NONE = [
    ("bytes", {"alphabet": "abcd"}, "alphabet is 'abcd'"),
    ("bytes", {"alphabet": [32, 97, 98, 256]}, "alphabet is [32, 97, 98, 256]"),
    ("bytes", {"alphabet": [0, 97, 98, 99]}, "alphabet is [0, 97, 98, 99]"),
    ("bytes", {"alphabet": [97, 97, 98, 99]}, "alphabet is [97, 97, 98, 99]"),
    ("bytes", {"alphabet": [99, 98, 97, 32]}, "alphabet is [99, 98, 97, 32]"),
    ("bytes", {"alphabet": [32, 97.0, 98, 99]}, "alphabet is [32, 97.0, 98, 99]"),
    ("bytes", {"alphabet": [True, 97, 98, 99]}, "alphabet is [True, 97, 98, 99]"),
    ("bytes", {"alphabet": {"a": 1}}, "alphabet is {'a': 1}"),
    ("bytes", {"tokenizer": TOKENIZER}, "vocabulary is bytes"),
    ("bpe", {"alphabet": [32, 97, 98, 99]}, "vocabulary is bpe"),
    ("bpe", {"tokenizer": ""}, "tokenizer is ''"),
    ("bpe", {"tokenizer": "x"}, "tokenizer is 'x'"),
    ("bpe", {"tokenizer": 7}, "tokenizer is 7"),
    ("bpe", {"tokenizer": "[" * 100_000}, "tokenizer is '[[["),
    ("bpe", {"tokenizer": "{}"}, "tokenizer is '{}'"),
    ("bpe", tokenizer(type="WordLevel"), "tokenizer is"),
    ("bpe", tokenizer(normalizer={"type": "Lowercase"}), "not a byte-level BPE"),
    ("bpe", tokenizer(dropout=0.5), "not a byte-level BPE"),
    ("bpe", tokenizer(pre_tokenizer=None), "not a byte-level BPE"),
    ("bpe", tokenizer(vocab=lambda found: found | {"zz": 9000}), "not a byte-level BPE"),
    ("bpe", tokenizer(vocab=lambda found: found | {"!": -1}), "tokenizer is"),
    ("bpe", tokenizer(vocab=lambda found: found | {"東": len(found)}), "not bytes"),
    (
        "bpe",
        tokenizer(vocab=lambda found: found | {f"z{i}q": len(found) + i for i in range(99)}),
        "vocabulary_size is 300",
    ),
    ("bpe", tokenizer(merges=[], vocab={"a": 0}), "lacks tokens for some bytes"),
    ("bpe", {"tokenizer": TOKENIZER, "alphabet": [97]}, "vocabulary is bpe"),
]


@pytest.mark.parametrize(("kind", "learnt", "said"), NONE)
def test_an_invalid_vocabulary_is_refused_with_its_reason(kind, learnt, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        TextContent(16, kind, 300, "text", 0, **learnt)


def test_learning_byte_pairs_of_one_long_word_takes_time_linear_in_its_length():
    began = time.process_time()
    learnt = vocabulary.Bpe(vocabulary.learn_bpe(["lorem" * 40_000], 300))
    assert time.process_time() - began < 5
    assert len(learnt.tokens("lorem")) == 1


def test_words_that_are_not_long_are_learnt_whole(monkeypatch):
    texts = ["some words " * 20 + "w" * vocabulary.LONG, "and  \n others" * 30]
    learnt = vocabulary.learn_bpe(texts, 300)
    monkeypatch.setattr(vocabulary, "LONG_WORD", re.compile(r"(?!)"))
    assert vocabulary.learn_bpe(texts, 300) == learnt
