import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import jensenshannon

from pipeline.evaluation.metrics.histograms import jensen_shannon

BINS = 2**32


def counted(dense):
    """Return dense counts as a sparse array with far more bins, in which used bins are far apart."""
    found = csr_array(np.asarray(dense, np.float64))
    return csr_array((found.data, found.indices.astype(np.int64) * 1_000_003, found.indptr), shape=(len(dense), BINS))


counts = st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=2, max_size=6).filter(
    lambda rows: any(map(any, rows))
)


@given(counts, counts)
@settings(deadline=None)
def test_the_distance_is_that_of_scipy(a, b):
    expected = jensenshannon(np.sum(a, 0), np.sum(b, 0), base=2)
    assert jensen_shannon(counted(a), counted(b)).value == pytest.approx(np.nan_to_num(expected), abs=1e-7)


@given(counts)
@settings(deadline=None)
def test_a_set_is_at_distance_0_from_itself(a):
    found = jensen_shannon(counted(a), counted(a))
    assert found.value == pytest.approx(0, abs=1e-7)
    assert all(np.isfinite(part).all() for part in found.parts.values())


def test_disjoint_sets_are_at_distance_1():
    assert jensen_shannon(counted([[1, 0]]), counted([[0, 3]])).value == pytest.approx(1)


@pytest.mark.parametrize("moved", ["test", "samples"])
def test_an_item_moves_the_distance_by_its_influence(moved):
    rng = np.random.default_rng(0)
    real, generated = rng.poisson(3.0, (40, 6)), rng.poisson([1, 2, 3, 4, 5, 6], (30, 6))
    estimate = jensen_shannon(counted(real), counted(generated))
    sets = {"test": real, "samples": generated}
    n = len(sets[moved])
    # one more copy of an item among 1000 copies of all items moves the distance by its influence over their number
    for item in (0, 7):
        many = sets | {moved: np.concatenate([np.tile(sets[moved], (1000, 1)), sets[moved][[item]]])}
        after = jensen_shannon(counted(many["test"]), counted(many["samples"])).value
        assert (after - estimate.value) * 1000 * n == pytest.approx(estimate.parts[moved][item], rel=1e-2, abs=1e-4)


@pytest.mark.parametrize(("real", "generated", "far"), [([1, 2], [0, 0], 1), ([0, 0], [1, 2], 1), ([0, 0], [0, 0], 0)])
def test_sets_without_counts_have_a_distance(real, generated, far):
    found = jensen_shannon(counted([real, real]), counted([generated]))
    assert found.value == far
    assert {name: part.tolist() for name, part in found.parts.items()} == {"test": [0, 0], "samples": [0]}
