import gzip
import os
import socket
import struct

import numpy as np
import pytest
from PIL import Image
from whole import whole

from pipeline.contents.audio import files as audio_files
from pipeline.contents.base import Rejected
from pipeline.contents.folders import MIB
from pipeline.contents.image import files as image_files
from pipeline.contents.image import known_sets as image_sets
from pipeline.contents.tokens import files as text_files
from pipeline.system.errors import SourceError, shown

READERS = {
    "image": lambda folder: image_files.read(folder, 3),
    "audio": lambda folder: audio_files.read(folder, 8000, 8000, "none"),
    "text": lambda folder: text_files.prose(folder, "text"),
    "code": lambda folder: text_files.sources(folder, ".py"),
}


def listed(folder, **bounds):
    """Return the paths of the files of a folder, and the reason for each refusal."""
    source = whole(folder, **bounds)
    found = list(source.walk())
    return (
        [source.origin(each) for each in found if not isinstance(each, Rejected)],
        {each.origin: each.reason for each in found if isinstance(each, Rejected)},
    )


@pytest.mark.parametrize("content", READERS)
def test_what_is_no_regular_file_is_refused_by_name_and_never_opened(tmp_path, content, monkeypatch):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as end:
        monkeypatch.chdir(tmp_path)  # a socket's address is short
        end.bind("socket.py")
    found = {each.origin: each.reason for each in READERS[content](whole(tmp_path))}
    assert found == {
        "pipe.py": "it is a FIFO, not a regular file",
        "socket.py": "it is a socket, not a regular file",
        "zero.py": "it is a device, not a regular file",
    }


@pytest.mark.parametrize("follow_links", [False, True])
def test_links_that_lead_in_circles_are_refused_and_nothing_is_read_twice(tmp_path, follow_links):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("x")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/again").symlink_to("b")
    (tmp_path / "itself").symlink_to("itself")
    files, refused = listed(tmp_path, follow_links=follow_links)
    assert files == ["a/b/file"]
    assert refused["itself"] == "it is a link that leads back to itself"
    assert set(refused) == {"itself", "a/b/up", "a/again"}


def test_links_that_leave_the_source_are_refused_unless_they_may_be_followed(tmp_path):
    source, outside = tmp_path / "source", tmp_path / "outside"
    source.mkdir()
    outside.mkdir()
    (outside / "b").write_text("b")
    (outside / "back").symlink_to(source)
    (source / "file").symlink_to(outside / "b")
    (source / "folder").symlink_to(outside)
    (source / "within").write_text("w")
    (source / "linked").symlink_to("within")
    files, refused = listed(source)
    assert files == ["linked", "within"]
    assert set(refused) == {"file", "folder"}
    assert all("prepare.follow_links" in reason for reason in refused.values())
    files, refused = listed(source, follow_links=True)
    assert files == ["file", "folder/b", "linked", "within"]
    assert set(refused) == {"folder/back"}


def test_a_source_that_is_itself_a_link_is_read(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_text("a")
    (tmp_path / "source").symlink_to("real")
    assert listed(tmp_path / "source") == (["a"], {})


def test_a_file_larger_than_the_bound_is_refused_without_being_read(tmp_path):
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate(1 << 40)  # a hole, which takes no room
    assert listed(tmp_path) == (
        [],
        {"large.txt": "it has 1,048,576 MiB, more than prepare.max_file_mib (512) allows"},
    )


def test_files_come_in_the_order_of_their_names_each_folder_at_its_place(tmp_path):
    names = ["a/z", "a.b", "a b", "B/c/d", "0"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert listed(tmp_path)[0] == [str(each) for each in sorted(map(type(tmp_path), names))]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"caf\xe9", r"caf\xe9"),
        (b"two\nlines", r"two\nlines"),
        (b"\x1b[2J", r"\x1b[2J"),
        ("größe 名前".encode(), "größe 名前"),
    ],
)
def test_names_are_shown_as_text_wherever_they_come_from(tmp_path, name, said):
    folder = tmp_path / os.fsdecode(name)
    folder.mkdir()
    with (folder / os.fsdecode(name + b".png")).open("wb") as file:
        Image.new("L", (16, 16), 40).save(file, "PNG")
    (folder / os.fsdecode(name + b".txt")).write_bytes(b"no image")
    good, bad = image_files.read(whole(tmp_path), 1)
    assert (good.origin, good.label) == (f"{said}/{said}.png", said)
    assert bad.origin == f"{said}/{said}.txt"
    assert said in bad.reason
    assert "".join([good.origin, bad.reason]).encode().decode().isprintable()


def test_a_shown_name_stays_as_it_is():
    assert shown(shown("a\udcff\tb")) == r"a\xff\tb"


@pytest.mark.parametrize("packed", [True, False])
def test_an_idx_file_that_unpacks_to_more_than_the_bound_is_refused_before_it_is_unpacked(tmp_path, packed):
    for stem in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        header = struct.pack(">4B3I", 0, 0, 8, 3, 80_000, 320, 320)  # 8 GB, of which hardly any are there
        (tmp_path / (f"{stem}.gz" if packed else stem)).write_bytes(gzip.compress(header) if packed else header)
    with pytest.raises(SourceError, match=r"t10k-images.*it unpacks to 7,812 MiB.*prepare\.max_file_mib \(512\)"):
        list(image_sets.read(whole(tmp_path)))


def test_an_idx_file_of_other_numbers_than_bytes_is_refused(tmp_path):
    for stem in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / stem).write_bytes(struct.pack(">4B3I", 0, 0, 9, 3, 2, 2, 2) + bytes(8))
    with pytest.raises(SourceError, match="unsigned bytes"):
        list(image_sets.read(whole(tmp_path)))


def test_a_picture_that_unpacks_to_more_than_the_bound_is_refused_before_it_is_decoded(tmp_path):
    Image.fromarray(np.zeros((1100, 1000), np.uint8)).save(tmp_path / "a.png")
    (found,) = image_files.read(whole(tmp_path, max_bytes=MIB), 1)
    assert found.reason == "it unpacks to 1 MiB, more than prepare.max_file_mib (1) allows"
