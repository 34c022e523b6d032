import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from listed import SHARES, Listed, harvested
from PIL import Image
from whole import whole

from pipeline.contents.base import DataSpec, Item, LeftOut, Rejected, Usable
from pipeline.contents.image.content import ImageContent
from pipeline.contents.names import Names
from pipeline.contents.text.content import TextContent
from pipeline.data import preparation
from pipeline.data.preparation import check, harvest, split, write
from pipeline.data.prepared import SPLITS
from pipeline.params import Split
from pipeline.system.errors import SourceError

FEW = settings(max_examples=25, deadline=None)


def made(n, classes=1, seed=0, fixed=None, label=None):
    """Return n different items, their classes in turn."""
    raws = np.random.default_rng(seed).integers(0, 256, (n, 16, 16, 1), np.uint8)
    return [Item(raw, f"{seed}/{i}", label or f"class {i % classes}", fixed) for i, raw in enumerate(raws)]


def contents_of(splits):
    return {name: [(row["like"], row["label"]) for row in rows] for name, rows in splits.items()}


SOURCES = st.builds(
    lambda n, classes, copies: (items := made(n, classes)) + items[:copies],
    n=st.integers(100, 140),
    classes=st.integers(1, 4),
    copies=st.integers(0, 20),
)


@FEW
@given(items=SOURCES, seed=st.integers(0, 2**32 - 1), order=st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order_in_which_items_are_found(items, seed, order, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    shuffled = order.sample(items, len(items))
    first, again = (split(harvested(each, folder, seed)[0], SHARES) for each in (items, shuffled))
    assert contents_of(first[0]) == contents_of(again[0])
    assert len(first[1]) == len(again[1])


@FEW
@given(items=SOURCES, seed=st.integers(0, 2**32 - 1))
def test_no_item_is_in_two_splits_or_twice_in_one(items, seed, tmp_path_factory):
    splits, repeats = split(harvested(items, tmp_path_factory.getbasetemp(), seed)[0], SHARES)
    digests = [row["like"] for rows in splits.values() for row in rows]
    assert len(digests) == len(set(digests))
    assert len(digests) + len(repeats) == len(items)
    assert len(digests) == len({item.raw.tobytes() for item in items})


@FEW
@given(sizes=st.lists(st.integers(40, 80), min_size=3, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_every_class_is_divided_by_the_shares(sizes, seed, tmp_path_factory):
    items = [item for i, n in enumerate(sizes) for item in made(n, seed=i, label=f"class {i}")]
    splits, _ = split(harvested(items, tmp_path_factory.getbasetemp(), seed)[0], SHARES)
    for label, n in enumerate(sizes):
        for name, share in SHARES.model_dump().items():
            assert abs((splits[name]["label"] == label).sum() - share * n) <= 1


def test_another_seed_gives_another_split_of_the_same_items(tmp_path):
    items = made(200)
    first, again = (contents_of(split(harvested(items, tmp_path, seed)[0], SHARES)[0]) for seed in (0, 1))
    assert set(first["test"]) != set(again["test"])
    assert {len(first[name]) - len(again[name]) for name in SPLITS} == {0}


def test_an_item_that_is_added_moves_few_others(tmp_path):
    items = made(201)
    before, after = (split(harvested(each, tmp_path)[0], SHARES)[0] for each in (items[:200], items))
    moved = {row["like"] for row in after["train"]} ^ {row["like"] for row in before["train"]}
    assert len(moved) <= 3


def test_a_fixed_test_split_is_kept_and_the_rest_is_divided_between_train_and_val(tmp_path):
    train, test = made(160, 2, seed=0, fixed="train"), made(40, 2, seed=1, fixed="test")
    found, _ = harvested(train + test, tmp_path)
    splits, _ = split(found, SHARES)
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 140, "val": 20, "test": 40}
    assert {row["at"] for row in splits["test"]} == set(range(160, 200))


@pytest.mark.parametrize("test_first", [True, False])
def test_a_duplicate_of_a_fixed_test_item_is_dropped_from_train_and_not_from_test(tmp_path, test_first):
    train, test = made(160, fixed="train"), made(40, seed=1, fixed="test")
    copies = [Item(item.raw, f"copy of {item.origin}", item.label, "train") for item in test[:10]]
    items = test + copies + train if test_first else train + copies + test
    found, _ = harvested(items, tmp_path)
    splits, repeats = split(found, SHARES)
    assert [items[place].origin for place, _ in repeats] == [item.origin for item in copies]
    assert [items[of].origin for _, of in repeats] == [item.origin for item in test[:10]]
    assert len(splits["test"]) == 40
    tested = {row["like"] for row in splits["test"]}
    assert not tested & {row["like"] for name in ("train", "val") for row in splits[name]}


def test_files_of_the_same_pixels_are_duplicates_whatever_their_format(tmp_path):
    for item in made(120):
        Image.fromarray(item.raw[..., 0]).save(tmp_path / f"{item.origin.replace('/', '-')}.png")
    Image.open(tmp_path / "0-7.png").save(tmp_path / "again.bmp")
    with Names() as names:
        found = harvest(ImageContent(16, 1), whole(tmp_path), io.BytesIO(), 0, names, [].append)
        (again,) = preparation.duplicates(found.rows, split(found, SHARES)[1], names)
    assert {again.origin, again.of} == {"0-7.png", "again.bmp"}
    assert again.reason == "it is the same to the model"


def test_classes_are_numbered_by_name_and_labels_follow(tmp_path):
    items = [item for name in "cab" for item in made(40, seed=ord(name), label=name)]
    found, _ = harvested(items, tmp_path)
    assert found.classes == ["a", "b", "c"]
    assert found.rows["label"].tolist() == [2] * 40 + [0] * 40 + [1] * 40


@pytest.mark.parametrize("n", [0, 1, 99])
def test_fewer_than_a_hundred_items_are_an_error_that_names_the_first_bad_files(tmp_path, n):
    rejected = [Rejected(f"bad{i}.png", "the file is empty") for i in range(5)]
    again = [Item(item.raw, f"again {item.origin}", item.label) for item in made(n)]
    found, _ = harvested([*made(n), *again, *rejected], tmp_path)
    with pytest.raises(SourceError) as caught:
        check(found, 1.0, tmp_path)
    said = str(caught.value)
    assert str(tmp_path) in said
    assert f"has {n} usable items" in said
    assert "bad0.png: the file is empty" in said
    assert "bad3.png" not in said


def test_a_hundred_items_are_enough(tmp_path):
    check(harvested(made(100), tmp_path)[0], 0.0, tmp_path)


def test_too_many_rejected_files_are_an_error_that_names_the_first_ones_and_the_parameter(tmp_path):
    rejected = [Rejected(f"bad{i}.png", "the file is empty") for i in (4, 2, 0, 3, 1)]
    found, _ = harvested([*rejected, *made(495)], tmp_path)
    check(found, 0.01, tmp_path)
    with pytest.raises(SourceError) as caught:
        check(found, 0.009, tmp_path)
    said = str(caught.value)
    for part in ("5 of 500 files (1.0%)", "prepare.max_rejected", "bad0.png: the file is empty; bad1.png", "bad2.png"):
        assert part in said
    assert "bad3.png" not in said


def test_the_share_of_rejected_files_is_one_of_files_however_many_items_each_gives(tmp_path):
    parts = [Item(item.raw, f"{i % 5}[{i}]", group=f"{i % 5}") for i, item in enumerate(made(200))]
    windows = sorted(parts, key=lambda each: each.group)
    rejected = [Rejected(f"bad{i}", "it is empty") for i in range(5)]
    found, _ = harvested([*windows, *rejected], tmp_path)
    assert found.files == 10
    with pytest.raises(SourceError, match=r"5 of 10 files \(50.0%\).*bad0: it is empty; bad1"):
        check(found, 0.49, tmp_path)
    check(found, 0.5, tmp_path)


def test_files_that_leave_no_item_count_as_files_and_what_is_left_out_of_one_does_not(tmp_path):
    first = [Usable("a"), *(Item(item.raw, f"a[{i}]", group="a") for i, item in enumerate(made(100)))]
    others = [Usable("b"), LeftOut("b", "a", "alike"), Usable("c"), LeftOut("c[0]", "a", "alike"), Usable("d")]
    said = []
    with Names() as names:
        found = harvest(Listed(first + others), tmp_path, io.BytesIO(), 0, names, said.append)
    assert (found.files, found.left_out, len(found.rows)) == (4, 2, 100)
    assert [(each.origin, each.of) for each in said] == [("b", "a"), ("c[0]", "a")]


def test_every_text_that_repeats_one_of_many_lines_of_json_is_counted_and_named_with_what_it_repeats(tmp_path):
    rng = np.random.default_rng(0)
    words = rng.choice(list("abcdefghijklmnop"), (900, 13, 4)).view("U4")[..., 0]
    texts = [" ".join(row[:size]) for row, size in zip(words, rng.integers(3, 13, 900), strict=True)]
    texts += [texts[i] for i in range(0, 900, 10)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    said = []
    with Names() as names:
        content = TextContent(64, "bytes", 1024, "text", 0)
        found = harvest(content, whole(tmp_path), io.BytesIO(), 0, names, said.append)
        said += preparation.duplicates(found.rows, split(found, SHARES)[1], names)
    pairs = [{each.origin.removesuffix("[0]"), each.of.removesuffix("[0]")} for each in said]
    assert len(pairs) == 90
    assert all({f"a.jsonl:{901 + i}", f"a.jsonl:{1 + 10 * i}"} in pairs for i in range(90))


def test_a_split_that_would_be_empty_is_an_error_that_names_it(tmp_path):
    items = made(100) + [made(1, seed=1)[0]] * 5
    with pytest.raises(SourceError, match="val would be empty"):
        split(harvested(items, tmp_path)[0], Split(train=0.9, val=0.001, test=0.099))


def test_a_split_that_is_empty_since_one_file_has_most_items_says_so(tmp_path):
    items = [replace(each, group="large" if i else "small") for i, each in enumerate(made(200))]
    with pytest.raises(SourceError, match=r"199 of one file, which is never divided\); raise its share, or add files"):
        split(harvested(items, tmp_path)[0], SHARES)


def test_arrays_on_disk_hold_the_items_of_the_rows_in_their_order(tmp_path):
    items = made(150, 3)
    found, encoded = harvested(items, tmp_path)
    splits, _ = split(found, SHARES)
    for name, rows in splits.items():
        write(rows, encoded, DataSpec((1, 16, 16), "grid"), tmp_path, name)
        array, labels = np.load(tmp_path / f"{name}.npy", mmap_mode="r"), np.load(tmp_path / f"{name}_labels.npy")
        assert array.dtype == np.uint8
        assert array.shape == (len(rows), 1, 16, 16)
        for x, label, row in zip(array, labels, rows, strict=True):
            item = items[row["at"]]
            np.testing.assert_array_equal(x[0], item.raw[..., 0])
            assert found.classes[label] == item.label


def test_the_digest_of_prepared_data_is_that_of_their_content_and_not_of_the_order_of_files(tmp_path):
    items, digests = made(150, 3), []
    for turn, each in enumerate((items, items[::-1], [*items[1:], made(1, seed=9)[0]])):
        folder = tmp_path / str(turn)
        folder.mkdir()
        found, encoded = harvested(each, tmp_path)
        for name, rows in split(found, SHARES)[0].items():
            write(rows, encoded, DataSpec((1, 16, 16), "grid"), folder, name)
        digests.append(preparation.digests(folder))
    assert digests[0] == digests[1] != digests[2]
