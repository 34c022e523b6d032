import itertools

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.system.rng import Noise, key, numpy_rng, torch_rng

SEEDS = st.integers(0, 2**32 - 1)
COUNTERS = st.lists(st.integers(0, 10**9), max_size=3)


@given(seed=SEEDS, purpose=st.text(max_size=20), counters=COUNTERS)
def test_a_key_is_the_same_each_time_and_fits_every_generator(seed, purpose, counters):
    found = key(seed, purpose, *counters)
    assert found == key(seed, purpose, *counters)
    assert 0 <= found < 2**63


@given(a=st.tuples(SEEDS, COUNTERS), b=st.tuples(SEEDS, COUNTERS))
def test_streams_of_different_seeds_or_counters_have_different_keys(a, b):
    assert (key(a[0], "noise", *a[1]) == key(b[0], "noise", *b[1])) == (a == b)


def test_the_digits_of_two_counters_do_not_run_together():
    assert key(0, "noise", 1, 23) != key(0, "noise", 12, 3)


def test_purposes_have_streams_of_their_own():
    assert key(0, "noise", 1) != key(0, "order", 1)


def test_streams_are_the_ones_that_earlier_models_were_trained_with():
    assert key(0, "noise", 1) == 3136146697272329583
    assert numpy_rng(0, "order", 1).permutation(8).tolist() == [3, 1, 2, 4, 0, 7, 6, 5]
    assert torch.randint(100, (6,), generator=torch_rng(0, "noise", 1)).tolist() == [7, 33, 3, 49, 14, 35]


def test_drawing_leaves_the_global_generators_as_they_were():
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    torch.randn(5, generator=torch_rng(0, "noise"))
    numpy_rng(0, "order").permutation(5)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_generators_of_one_stream_draw_the_same_twice():
    assert torch.equal(*(torch.randn(4, generator=torch_rng(1, "noise", 2)) for _ in range(2)))
    np.testing.assert_array_equal(*(numpy_rng(1, "noise", 2).random(4) for _ in range(2)))


@settings(max_examples=60, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 40), max_size=5),
    whole=st.integers(1, 40),
    shape=st.lists(st.integers(1, 3), max_size=3),
)
def test_the_noise_of_shares_put_together_is_that_of_the_whole_batch(cuts, whole, shape):
    bounds = [0, *sorted(min(cut, whole) for cut in cuts), whole]
    shares = [(Noise(torch_rng(0, "noise"), begin, whole), end - begin) for begin, end in itertools.pairwise(bounds)]
    alone = Noise(torch_rng(0, "noise"))
    for _ in range(2):  # a loss may draw more than once
        drawn = torch.cat([noise(n, *shape) for noise, n in shares])
        assert torch.equal(drawn, alone(whole, *shape))


def test_noise_is_normal_and_each_item_has_its_own():
    drawn = Noise(torch_rng(0, "noise"))(20_000, 3)
    torch.testing.assert_close(drawn.mean(0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), torch.eye(3), atol=0.03, rtol=0)


def test_noise_that_is_drawn_again_is_other_noise():
    noise = Noise(torch_rng(0, "noise"), 2, 8)
    assert not torch.equal(noise(3, 2), noise(3, 2))


def test_an_item_that_stands_in_for_none_has_noise_as_well():
    assert Noise(torch_rng(0, "noise"), 0, 1)(1, 4).shape == (1, 4)


def test_uniform_noise_is_uniform_never_at_its_ends_and_shared_out_as_the_normal_one_is():
    whole = Noise(torch_rng(0, "noise")).uniform(20_000, 2)
    assert 0 < whole.min() < 1e-3
    assert 1 - 1e-3 < whole.max() < 1
    np.testing.assert_allclose(np.histogram(whole.numpy(), 10, (0, 1))[0], 4000, rtol=0.06)
    share = Noise(torch_rng(0, "noise"), first=5, whole=20_000).uniform(7, 2)
    assert torch.equal(share, whole[5:12])
