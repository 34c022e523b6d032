import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation import ngrams
from pipeline.evaluation.ngrams import NGram, discounts
from pipeline.system.rng import numpy_rng

VOCAB = 3
ITEMS = st.integers(1, 4).flatmap(
    lambda length: st.lists(st.lists(st.integers(0, VOCAB - 1), min_size=length, max_size=length), max_size=12).map(
        lambda rows: np.array(rows, np.uint8).reshape(-1, length)
    )
)


def fitted(items, order, vocab_size=VOCAB):
    model = NGram(order, vocab_size)
    model.fit(items)
    return model


def every(length):
    return np.array(list(itertools.product(range(VOCAB), repeat=length)), np.uint8)


def grammar(n, length=6):
    """Return items in which the next token is mostly the last one plus 1, and seldom far from that."""
    steps = numpy_rng(0, "grammar").choice(5, (n, length), p=[0.05, 0.7, 0.15, 0.1, 0.0])
    return (steps.cumsum(1) % 5).astype(np.uint8)


class Plain:
    """The same model, written with dictionaries, one n-gram at a time."""

    def __init__(self, items, order):
        self.order, counts = order, [Counter() for _ in range(order + 1)]
        rows = [("start", *row.tolist()) for row in items]
        for row, k in itertools.product(rows, range(1, order + 1)):
            counts[k].update(row[i : i + k] for i in range(len(row) - k + 1))
        self.counts = [Counter() for _ in counts]
        for k in range(1, order + 1):
            before = Counter(gram[1:] for gram in counts[k + 1]) if k < order else counts[k]
            self.counts[k] = {g: c if g[0] == "start" else before[g] for g, c in counts[k].items()}
        self.after = defaultdict(list)
        for grams in self.counts[2:]:
            for gram, count in grams.items():
                self.after[gram[:-1]].append(count)
        self.off = [discounts(np.array(list(grams.values()), int)) for grams in self.counts]

    def chance(self, gram):
        if len(gram) == 1:
            ones = [self.counts[1].get((token,), 0) + 1 for token in range(VOCAB)]
            return ones[gram[0]] / sum(ones)
        seen, off, lower = self.after[gram[:-1]], self.off[len(gram)], self.chance(gram[1:])
        if not seen:
            return lower
        count = self.counts[len(gram)].get(gram, 0)
        freed = sum(off[min(each, 3)] for each in seen)
        return (count - off[min(count, 3)] + freed * lower) / sum(seen)

    def nats(self, item):
        row = ("start", *item.tolist())
        return -sum(np.log(self.chance(row[max(0, i + 1 - self.order) : i + 1])) for i in range(1, len(row)))


@settings(max_examples=80, deadline=None)
@given(items=ITEMS, order=st.integers(1, 6), length=st.integers(1, 4))
def test_the_probabilities_of_all_items_of_a_length_sum_to_one(items, order, length):
    assert np.exp(-fitted(items, order).nats(every(length))).sum() == pytest.approx(1, abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(items=ITEMS, order=st.integers(1, 6))
def test_nats_are_those_of_a_reference_implementation(items, order):
    plain, asked = Plain(items, order), every(3)
    np.testing.assert_allclose(fitted(items, order).nats(asked), [plain.nats(item) for item in asked], rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(1, 9)))
def test_a_discount_is_positive_and_at_most_the_count(counts):
    found = discounts(np.array(counts, int))
    assert found[0] == 0
    assert (found[1:] > 0).all()
    assert (found <= np.arange(4)).all()


def test_order_one_is_the_frequency_of_each_token_with_one_count_more():
    model = fitted(np.array([[0, 0], [1, 0]], np.uint8), 1)
    np.testing.assert_allclose(model.nats(every(1)), -np.log([4 / 7, 2 / 7, 1 / 7]))
    assert model.nats(np.array([[0, 2]], np.uint8))[0] == pytest.approx(-np.log(4 / 49))


def test_order_two_knows_how_items_begin():
    model = fitted(np.tile(np.array([[2, 0, 1]], np.uint8), (500, 1)), 2)
    assert model.nats(every(1)).argmin() == 2
    assert np.exp(-model.nats(every(1)))[2] > 0.98


def test_padding_is_scored_as_any_token():
    model = fitted(np.array([[1, 0, 0, 0], [2, 0, 0, 0]], np.uint8), 1)
    assert model.nats(np.array([[1, 0, 0, 0]], np.uint8))[0] == pytest.approx(-np.log(2 / 11) - 3 * np.log(7 / 11))


def test_a_longer_context_predicts_items_with_rules_better():
    items = grammar(3000)
    means = [fitted(items[:2000], order, 5).nats(items[2000:]).mean() for order in (1, 2)]
    assert means[1] < 0.7 * means[0]


@settings(max_examples=8, deadline=None)
@given(order=st.integers(1, 5), seed=st.integers(0, 99))
def test_samples_are_as_frequent_as_their_probability(order, seed):
    items = numpy_rng(seed, "items").choice(VOCAB, (15, 3), p=[0.6, 0.3, 0.1]).astype(np.uint8)
    model, n = fitted(items, order), 40_000
    drawn = model.sample(n, numpy_rng(seed, "drawn")).astype(int) @ [9, 3, 1]
    expected = n * np.exp(-model.nats(every(3)))
    chi_squared = ((np.bincount(drawn, minlength=27) - expected) ** 2 / expected).sum()
    assert chi_squared < 26 + 6 * np.sqrt(2 * 26)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_samples_have_the_length_and_type_of_the_items_and_repeat(dtype):
    model = fitted(grammar(50).astype(dtype), 3, 5)
    first, again = (model.sample(7, numpy_rng(1, "drawn")) for _ in range(2))
    assert first.shape == (7, 6)
    assert first.dtype == dtype
    np.testing.assert_array_equal(first, again)
    assert (first != model.sample(7, numpy_rng(2, "drawn"))).any()


def test_a_large_vocabulary_does_not_overflow_keys():
    items = np.tile(np.array([[65_535, 0, 65_534, 1, 65_535, 2]], np.uint16), (400, 1))
    model = fitted(items, 6, 65_536)
    assert model.nats(items[:1])[0] < 1
    wrong = items[:1].copy()
    wrong[0, 3] = 2
    assert 5 < model.nats(wrong)[0] < 100
    assert (model.sample(200, numpy_rng(0, "drawn")) == items[0]).all(1).mean() > 0.5


def test_scores_do_not_depend_on_how_many_are_scored_at_a_time(monkeypatch):
    items = grammar(40)
    model = fitted(items, 4, 5)
    together = model.nats(items)
    monkeypatch.setattr(ngrams, "AT_ONCE", 13)
    np.testing.assert_array_equal(model.nats(items), together)


def test_nothing_to_score_or_to_draw_gives_nothing():
    model = fitted(grammar(10), 5, 5)
    assert model.nats(grammar(10)[:0]).shape == (0,)
    assert model.sample(0, numpy_rng(0, "drawn")).shape == (0, 6)


def test_fitting_again_discards_the_counts_before_and_changes_no_items():
    items, model = grammar(50), fitted(grammar(80), 3, 5)
    items.setflags(write=False)
    model.fit(items)
    np.testing.assert_array_equal(model.nats(items), fitted(items, 3, 5).nats(items))
