from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from listed import SHARES, harvested

from pipeline.contents.base import Item
from pipeline.data.preparation import split

FEW = settings(max_examples=25, deadline=None)


def parts(sizes, *, like=None):
    """Return different items in groups of the given sizes; every `like` items in a row are alike."""
    raws = np.random.default_rng(0).integers(0, 256, (sum(sizes), 16, 16, 1), np.uint8)
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    return [
        Item(raw, str(i), group=f"document {group}", like=str(i // like).encode() if like else None)
        for i, (raw, group) in enumerate(zip(raws, groups, strict=True))
    ]


def divided(items, seed=0):
    """Return the indices of the items of each split, and the number of items left out."""
    splits, left_out = split(harvested(items, seed=seed)[0], SHARES)
    return {name: {int(at) for at in rows["at"]} for name, rows in splits.items()}, len(left_out)


SIZES = st.lists(st.integers(1, 12), min_size=130, max_size=150)
"""Of documents so many that none can be as large as a tenth of all items, and leave val empty."""


@FEW
@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_the_parts_of_one_document_never_go_to_different_splits(sizes, seed):
    items = parts(sizes)
    splits, _ = divided(items, seed)
    homes = [{items[at].group for at in places} for places in splits.values()]
    assert sum(map(len, homes)) == len(set().union(*homes)) == len(sizes)


def test_groups_are_divided_by_the_shares_of_their_items():
    splits, _ = divided(parts([3] * 200))
    assert {name: round(len(places) / 600, 1) for name, places in splits.items()} == SHARES.model_dump()


@FEW
@given(order=st.randoms(use_true_random=False))
def test_which_of_those_that_are_alike_is_kept_does_not_depend_on_the_order_they_are_found_in(order):
    items = parts([6] * 20, like=3)
    shuffled = order.sample(items, len(items))
    kept = [
        {name: {each[at].origin for at in places} for name, places in divided(each)[0].items()}
        for each in (items, shuffled)
    ]
    assert kept[0] == kept[1]


def test_of_items_that_are_alike_one_is_kept():
    splits, left_out = divided(parts([6] * 20, like=3))
    assert sum(map(len, splits.values())) == 40
    assert left_out == 80


def test_the_parts_of_a_document_do_not_stand_together_in_a_split():
    items = parts([10] * 60)
    rows = split(harvested(items)[0], SHARES)[0]["train"]
    groups = [items[at].group for at in rows["at"]]
    together = sum(a == b for a, b in pairwise(groups))
    assert together < 0.1 * len(groups)
    assert len(set(groups[:100])) > 30
