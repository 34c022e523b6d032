import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contents.tokens import strings

texts = st.lists(st.text("ab\n", max_size=20), max_size=6)


def copied(text, train):
    """Return the length of the longest run that a text shares with an item, by trying all runs."""
    runs = (text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1))
    return max((len(run) for run in runs if any(run in item for item in train)), default=0)


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@settings(max_examples=200, deadline=None)
@given(raws=texts, train=texts)
def test_the_longest_copy_is_the_one_that_trying_all_runs_finds(raws, train):
    assert strings.longest_copies(raws, train).tolist() == [copied(raw, train) for raw in raws]


@settings(max_examples=50, deadline=None)
@given(raws=st.lists(st.text(max_size=9), max_size=4), train=st.lists(st.text(max_size=9), max_size=4))
def test_the_longest_copy_is_found_among_any_characters(raws, train):
    assert strings.longest_copies(raws, train).tolist() == [copied(raw, train) for raw in raws]


@settings(max_examples=30, deadline=None)
@given(raws=texts, train=texts)
def test_the_longest_copy_does_not_depend_on_how_train_is_divided(raws, train):
    whole = strings.longest_copies(raws, train)
    before, strings.BLOCK = strings.BLOCK, 8
    try:
        assert strings.longest_copies(raws, train).tolist() == whole.tolist()
    finally:
        strings.BLOCK = before


def test_a_run_over_the_border_of_two_items_is_no_copy():
    assert strings.longest_copies(["abcd"], ["ab", "cd"]).tolist() == [2]


def test_a_text_longer_than_any_power_of_two_is_compared_to_its_end():
    text = "".join(map(chr, range(200, 400)))
    assert strings.longest_copies([text, text[:100], text[1:]], [text]).tolist() == [200, 100, 199]


def test_copies_of_two_thousand_texts_in_a_megabyte_are_found_in_seconds():
    letters = np.random.default_rng(0).integers(97, 105, 1_256_000, np.uint8).tobytes().decode()
    items = [letters[i : i + 128] for i in range(0, len(letters), 128)]
    begin = time.monotonic()
    found = strings.longest_copies(items[:2000], items[2000:])
    assert time.monotonic() - begin < 20
    assert 5 <= found.min() <= found.max() <= 20


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(st.text("abc", max_size=9), st.text("abc", max_size=9)), max_size=5))
def test_edit_similarity_is_that_of_the_textbook(pairs):
    found = strings.edit_similarity([a for a, _ in pairs], [b for _, b in pairs])
    np.testing.assert_allclose(found, [1 - edits(a, b) / max(len(a), len(b), 1) for a, b in pairs])


def test_distinct_runs_are_counted_over_all_texts_and_never_across_two():
    assert strings.distinct(["a b a", "a b"], 1) == 2 / 5
    assert strings.distinct(["a b a", "a b"], 2) == 2 / 3
    assert strings.distinct(["a b", "c"], 3) == 0


def test_a_gram_falls_into_the_same_bin_in_every_set_and_is_counted():
    first, second = strings.grams(["abcdabcd", "äöüß", "abc"]), strings.grams(["xxxxx", "abcd"])
    assert first.shape == (3, strings.BINS)
    assert first.sum(axis=1).tolist() == [5, 1, 0]
    assert second.sum(axis=1).tolist() == [2, 1]
    (place,) = second[[1]].nonzero()[1]
    assert first[0, place] == 2
    assert strings.grams([]).shape == (0, strings.BINS)


def test_different_grams_hardly_ever_share_a_bin():
    letters = "abcdefghij"
    found = strings.grams(["".join(run) for run in np.random.default_rng(0).choice(list(letters), (5000, 4))])
    columns, runs = len(set(found.nonzero()[1].tolist())), 5000
    assert columns > 0.75 * runs  # 5000 draws of 10^4 runs give about 3,935 distinct ones
