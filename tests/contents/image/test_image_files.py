import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from whole import whole

from pipeline.contents.base import Item, Rejected
from pipeline.contents.image import files as image_files

COLOURS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[255, 255, 255], [0, 0, 0], [250, 120, 10]]], np.uint8)
"""Two rows of three pixels."""


def picture(pixels=COLOURS, times=8):
    """Return an image with every pixel repeated, so that block-based codecs preserve it."""
    return Image.fromarray(pixels.repeat(times, 0).repeat(times, 1))


def only(folder, channels=3):
    """Return the only thing found in a folder."""
    (found,) = image_files.read(whole(folder), channels)
    return found


def reason(folder):
    found = only(folder)
    assert isinstance(found, Rejected)
    assert "\n" not in found.reason
    assert str(folder) not in found.reason
    return found.reason


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("png", {}), ("bmp", {}), ("gif", {}), ("tiff", {}), ("webp", {"lossless": True}), ("ppm", {}), ("tga", {})],
)
def test_a_lossless_format_gives_the_pixels_that_were_saved(tmp_path, suffix, options):
    picture().save(tmp_path / f"a.{suffix}", **options)
    np.testing.assert_array_equal(only(tmp_path).raw, np.asarray(picture()))


@pytest.mark.parametrize("suffix", ["jpg", "webp", "jp2"])
def test_a_lossy_format_gives_nearly_the_pixels_that_were_saved(tmp_path, suffix):
    image = Image.linear_gradient("L").convert("RGB")
    image.save(tmp_path / f"a.{suffix}")
    assert np.abs(only(tmp_path).raw.astype(int) - np.asarray(image)).max() < 16


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tiff", "pgm"])
def test_a_grey_file_gives_one_channel_or_three_as_asked(tmp_path, suffix):
    Image.linear_gradient("L").save(tmp_path / f"a.{suffix}")
    grey, colour = only(tmp_path, 1).raw, only(tmp_path, 3).raw
    assert grey.shape == (256, 256, 1)
    np.testing.assert_array_equal(colour, grey.repeat(3, 2))


def test_a_file_is_read_by_its_bytes_and_not_by_its_name(tmp_path):
    picture().save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "without ending")
    assert isinstance(only(tmp_path), Item)


def test_rgba_is_composited_on_white(tmp_path):
    pixels = np.array([[[0, 0, 0, 0], [255, 0, 0, 128], [10, 20, 30, 255]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(only(tmp_path).raw, [[[255, 255, 255], [255, 127, 127], [10, 20, 30]]])


def test_grey_with_alpha_is_composited_on_white(tmp_path):
    pixels = np.array([[[0, 0], [0, 128], [40, 255]]], np.uint8)
    Image.fromarray(pixels, "LA").save(tmp_path / "a.png")
    np.testing.assert_array_equal(only(tmp_path, 1).raw, [[[255], [127], [40]]])


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_transparent_palette_entry_becomes_white(tmp_path, suffix):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((3, 3), 1)
    image.save(tmp_path / f"a.{suffix}", transparency=0)
    raw = only(tmp_path).raw
    assert (raw[0, 0] == 255).all()
    np.testing.assert_array_equal(raw[3, 3], [200, 100, 50])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_colour_that_is_declared_transparent_becomes_white(tmp_path, mode):
    image = Image.new(mode, (2, 2), 90 if mode == "L" else (90, 90, 90))
    image.putpixel((0, 0), 7 if mode == "L" else (7, 7, 7))
    image.save(tmp_path / "a.png", transparency=7 if mode == "L" else (7, 7, 7))
    raw = only(tmp_path).raw
    assert (raw[0, 0] == 255).all()
    assert (raw[1, 1] == 90).all()


def test_an_opaque_palette_gives_its_colours(tmp_path):
    picture().quantize(16).save(tmp_path / "a.png")
    np.testing.assert_array_equal(only(tmp_path).raw, np.asarray(picture()))


def test_cmyk_becomes_rgb(tmp_path):
    pixels = np.array([[[0, 255, 255, 0], [255, 255, 0, 0], [0, 0, 0, 0], [0, 0, 0, 255]]], np.uint8)
    Image.fromarray(pixels, "CMYK").save(tmp_path / "a.tiff")
    np.testing.assert_array_equal(only(tmp_path).raw, [[[255, 0, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]])


def test_a_cmyk_jpeg_is_not_inverted(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(only(tmp_path).raw.astype(int) - [255, 0, 0]).max() < 8


def test_a_bilevel_file_is_black_and_white(tmp_path):
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(only(tmp_path, 1).raw, [[[255], [0]]])


@pytest.mark.parametrize("suffix", ["png", "jpg", "tiff"])
def test_a_file_that_exif_says_is_rotated_is_put_upright(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # its first row is the right-hand side
    picture(times=32).save(tmp_path / f"a.{suffix}", exif=exif)
    upright = np.rot90(np.asarray(picture(times=32)), -1)
    raw = only(tmp_path).raw
    assert raw.shape == upright.shape
    assert np.abs(raw[16::32, 16::32].astype(int) - upright[16::32, 16::32]).max() < 40


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, suffix):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(only(tmp_path).raw, np.asarray(frames[0]))


@pytest.mark.parametrize("keep", [0.25, 0.5, 0.97])
@pytest.mark.parametrize(
    "suffix", ["png", "jpg", "gif", "bmp", "tiff", "webp", "ppm", "tga", "jp2", "sgi", "pcx", "ico"]
)
def test_a_truncated_file_is_rejected_with_its_reason(tmp_path, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    assert reason(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_picture_says_that_it_is_truncated(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.effect_noise((64, 64), 90).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "truncated" in reason(tmp_path)


def test_a_png_whose_bytes_were_changed_is_rejected(tmp_path):
    path = tmp_path / "a.png"
    Image.effect_noise((64, 64), 90).save(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    assert reason(tmp_path)


def test_an_empty_file_is_rejected_as_empty(tmp_path):
    (tmp_path / "a.jpg").touch()
    assert reason(tmp_path) == "the file is empty"


def test_a_file_that_is_no_image_is_rejected_as_such(tmp_path):
    (tmp_path / "a.png").write_text("name,class\n1,2\n")
    assert reason(tmp_path) == "UnidentifiedImageError: cannot identify image file 'a.png'"


def test_a_link_to_nowhere_is_rejected(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    assert reason(tmp_path) == "it is a broken link"


def bomb(side):
    """Return a small PNG file whose header states a large image."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 20_000])
def test_a_decompression_bomb_is_rejected_before_it_is_unpacked(tmp_path, side):
    (tmp_path / "a.png").write_bytes(bomb(side))
    assert "decompression bomb" in reason(tmp_path)


def test_a_bad_file_does_not_stop_the_ones_beside_it(tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    picture().save(tmp_path / "good.png")
    kinds = {type(found): found.origin for found in image_files.read(whole(tmp_path), 3)}
    assert kinds == {Item: "good.png", Rejected: "bad.png"}


def test_the_class_is_the_first_subfolder_however_deep_a_file_lies(tmp_path):
    for name in ("top.png", "cats/a.png", "cats/old/b.png", "license plates/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(tmp_path / name)
    labels = {found.origin: found.label for found in image_files.read(whole(tmp_path), 3)}
    expected = {
        "top.png": None,
        "cats/a.png": "cats",
        "cats/old/b.png": "cats",
        "license plates/c.png": "license plates",
    }
    assert labels == expected


def test_an_image_is_not_skipped_for_a_name_that_begins_like_a_readme(tmp_path):
    for name in ("license_plate.png", "readme-cover.png", "copying.machine.png"):
        picture().save(tmp_path / name)
    assert len(list(image_files.read(whole(tmp_path), 3))) == 3


@pytest.mark.parametrize(
    "name", ["README.md", "readme.txt", "LICENSE", "Licence.txt", "COPYING", "source.json", ".hidden.png"]
)
def test_a_file_that_describes_the_data_is_no_item(tmp_path, name):
    (tmp_path / name).write_text("about")
    assert list(image_files.read(whole(tmp_path), 3)) == []


def test_nothing_below_a_hidden_folder_is_an_item(tmp_path):
    (tmp_path / ".thumbnails").mkdir()
    picture().save(tmp_path / ".thumbnails" / "a.png")
    assert list(image_files.read(whole(tmp_path), 3)) == []
