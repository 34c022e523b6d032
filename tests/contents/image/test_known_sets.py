import gzip
import hashlib
import json
import pickle
import socket
import struct

import numpy as np
import pytest
from torchvision.datasets import CIFAR10
from whole import whole

from pipeline.contents.image import known_sets as image_sets
from pipeline.system.errors import SourceError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
LABELS = (np.arange(20) % 10).astype(np.uint8)


def idx(array):
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_part(folder, part, pixels=PIXELS, labels=LABELS, packed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in ((f"{part}-images-idx3-ubyte", pixels), (f"{part}-labels-idx1-ubyte", labels)):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        else:
            (folder / name).write_bytes(idx(array))


@pytest.mark.parametrize("packed", [True, False])
def test_idx_files_give_their_pixels_and_labels_packed_or_not(tmp_path, packed):
    write_part(tmp_path, "t10k", packed=packed)
    items = list(image_sets.read(whole(tmp_path)))
    np.testing.assert_array_equal([item.raw[..., 0] for item in items], PIXELS)
    assert [item.label for item in items] == [str(label) for label in LABELS]


def test_idx_files_of_an_unknown_set_fix_no_split(tmp_path):
    write_part(tmp_path, "t10k")
    write_part(tmp_path, "train")
    assert {item.split for item in image_sets.read(whole(tmp_path))} == {None}


def test_labels_of_idx_files_are_named_by_the_card(tmp_path):
    write_part(tmp_path, "t10k")
    (tmp_path / "source.json").write_text(json.dumps({"classes": [f"class {i}" for i in range(10)]}))
    assert next(image_sets.read(whole(tmp_path))).label == "class 0"


def test_a_label_without_a_name_on_the_card_is_one_clear_line(tmp_path):
    write_part(tmp_path, "t10k")
    (tmp_path / "source.json").write_text(json.dumps({"classes": ["only one"]}))
    with pytest.raises(SourceError, match=r"t10k-labels.*classes"):
        list(image_sets.read(whole(tmp_path)))


def test_a_card_that_is_no_card_is_one_clear_line(tmp_path):
    write_part(tmp_path, "t10k")
    (tmp_path / "source.json").write_text('{"clases": []}')
    with pytest.raises(SourceError, match=r"source\.json"):
        list(image_sets.read(whole(tmp_path)))


def test_a_folder_of_other_files_is_no_known_set(tmp_path):
    (tmp_path / "a.png").touch()
    assert image_sets.read(whole(tmp_path)) is None


@pytest.mark.parametrize("keep", [0, 3, 10, 40, 3000])
def test_a_truncated_idx_file_is_named_whether_packed_or_not(tmp_path, keep):
    for packed in (True, False):
        folder = tmp_path / str(packed)
        write_part(folder, "t10k", packed=packed)
        path = next(folder.glob("t10k-images*"))
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(SourceError, match=r"t10k-images.*not a complete IDX file"):
            list(image_sets.read(whole(folder)))


def test_an_idx_file_with_changed_bytes_is_named(tmp_path):
    write_part(tmp_path, "t10k")
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(SourceError, match=path.name):
        list(image_sets.read(whole(tmp_path)))


@pytest.mark.parametrize(("pixels", "labels"), [(PIXELS, LABELS[:-1]), (PIXELS[:-1], LABELS), (LABELS, LABELS)])
def test_images_and_labels_that_do_not_belong_together_are_one_clear_line(tmp_path, pixels, labels):
    write_part(tmp_path, "t10k", pixels, labels)
    with pytest.raises(SourceError, match=r"t10k-images.*t10k-labels"):
        list(image_sets.read(whole(tmp_path)))


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_a_named_set_that_lies_there_is_used_offline_with_its_standard_split(tmp_path, no_network, name, below):
    folder = tmp_path / name
    write_part(folder / below, "train")
    write_part(folder / below, "t10k", 255 - PIXELS)
    items = list(image_sets.read(whole(folder)))
    assert [item.split for item in items] == ["train"] * 20 + ["test"] * 20
    np.testing.assert_array_equal(items[20].raw[..., 0], 255 - PIXELS[0])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mnist", "t10k-labels-idx1-ubyte.gz"),
        ("fashion-mnist", "train-images-idx3-ubyte.gz"),
        ("cifar10", "cifar-10-python.tar.gz"),
    ],
)
def test_a_named_set_that_is_missing_says_where_to_put_its_files_when_offline(tmp_path, no_network, name, file):
    folder = tmp_path / name
    folder.mkdir()
    timeout = socket.getdefaulttimeout()
    with pytest.raises(SourceError) as caught:
        list(image_sets.read(whole(folder)))
    assert "\n" not in str(caught.value)
    for part in (name, str(folder), file, "put"):
        assert part in str(caught.value)
    assert socket.getdefaulttimeout() == timeout


def test_a_named_set_with_a_part_missing_is_not_taken_for_whole(tmp_path, no_network):
    write_part(tmp_path / "mnist", "t10k")
    with pytest.raises(SourceError, match="train-images"):
        list(image_sets.read(whole(tmp_path / "mnist")))


def test_cifar10_that_lies_there_is_used_offline_with_its_standard_split(tmp_path, no_network, monkeypatch):
    folder = tmp_path / "cifar10" / CIFAR10.base_folder
    folder.mkdir(parents=True)

    def leave(name, tree):
        data = pickle.dumps(tree)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    rows = np.random.default_rng(0).integers(0, 256, (4, 3 * 32 * 32), np.uint8)
    monkeypatch.setattr(CIFAR10, "train_list", [leave("data_batch_1", {"data": rows, "labels": [0, 1, 0, 1]})])
    monkeypatch.setattr(CIFAR10, "test_list", [leave("test_batch", {"data": rows[:2], "labels": [1, 1]})])
    meta, md5 = leave("batches.meta", {"label_names": ["cat", "dog"]})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": meta, "key": "label_names", "md5": md5})
    items = list(image_sets.read(whole(tmp_path / "cifar10")))
    assert [(item.label, item.split) for item in items[:2]] == [("cat", "train"), ("dog", "train")]
    assert [item.split for item in items] == ["train"] * 4 + ["test"] * 2
    np.testing.assert_array_equal(items[0].raw, rows[0].reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_corrupt_cifar10_is_not_unpickled(tmp_path, no_network):
    folder = tmp_path / "cifar10" / CIFAR10.base_folder
    folder.mkdir(parents=True)
    for name, _ in (*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], None)):
        (folder / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(SourceError, match=r"cifar-10-python\.tar\.gz"):
        list(image_sets.read(whole(tmp_path / "cifar10")))
