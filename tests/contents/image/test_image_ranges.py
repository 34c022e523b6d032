"""A ramp, stored in every way that formats allow, is read unchanged or rejected with a reason."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from whole import whole

from pipeline.contents.base import Rejected
from pipeline.contents.image import files as image_files

GREY, INVERTED, RGB, PALETTE, CMYK = 1, 0, 2, 3, 5
INTEGERS, SIGNED, FLOATS = 1, 2, 3
STEPS = 9


def ramp(top, repeats=1):
    return np.repeat([top * i / (STEPS - 1) for i in range(STEPS)], repeats)


def read(folder, data, channels=1, value_range=None):
    (folder / "a").write_bytes(data)
    (found,) = image_files.read(whole(folder), channels, value_range)
    return found


def assert_ramp(found):
    assert not isinstance(found, Rejected), found
    assert np.abs(found.raw[0].astype(float) - ramp(255)[:, None]).max() <= 1


def reason(found):
    assert isinstance(found, Rejected), found.raw.ravel()
    return found.reason


def packed(values, bits, kind, order):
    if bits != 12:
        return (
            np.asarray(values).round(0 if kind != FLOATS else 9).astype(f"{order}{' uif'[kind]}{bits // 8}").tobytes()
        )
    text = "".join(f"{round(value):012b}" for value in values)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def tiff(values, bits, photometric=GREY, kind=INTEGERS, order="<", bands=1, tags=None):
    """Return an uncompressed TIFF file of one row; `tags` holds further tags as (letter of the type, values)."""
    data = packed(values, bits, kind, order)
    entries = {
        256: ("H", [len(values) // bands]),
        257: ("H", [1]),
        258: ("H", [bits] * bands),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [0]),
        277: ("H", [bands]),
        278: ("H", [1]),
        279: ("I", [len(data)]),
        339: ("H", [kind] * bands),
    } | (tags or {})
    begin = 8 + 2 + 12 * len(entries) + 4
    long = {tag: struct.pack(f"{order}{len(v)}{t}", *v) for tag, (t, v) in entries.items()}
    blob = b"".join(each for each in long.values() if len(each) > 4)
    entries[273], long[273] = ("I", []), struct.pack(f"{order}I", begin + len(blob))
    rows, at = b"", begin
    for tag, (letter, found) in entries.items():
        value = long[tag]
        field = struct.pack(f"{order}I", at) if len(value) > 4 else value
        at += len(value) if len(value) > 4 else 0
        number = {"H": 3, "I": 4, "f": 11, "d": 12}[letter]
        rows += struct.pack(f"{order}HHI", tag, number, max(len(found), 1)) + field.ljust(4, b"\0")
    head = struct.pack(f"{order}HIH", 42, 8, len(entries))
    return (b"II" if order == "<" else b"MM") + head + rows + bytes(4) + blob + data


def png(values, kind, bands=1, chunks=b""):
    """Return a 16-bit PNG file of one row; `kind` is 0 for grey, 2 for RGB, and 4 or 6 for these with alpha."""
    row = b"\0" + np.asarray(values).round().astype(">u2").tobytes()
    header = struct.pack(">IIBBBBB", len(values) // bands, 1, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def pnm(kind, values, maximum, bands=1):
    head = f"P{kind}\n{len(values) // bands} 1\n{maximum}\n".encode()
    numbers = np.asarray(values).round().astype(">u2" if maximum > 255 else "u1")
    return head + (numbers.tobytes() if kind > 3 else " ".join(map(str, numbers)).encode() + b"\n")


MOST = 281
OPAQUE = np.stack([ramp(255), np.full(STEPS, 255)], 1).ravel()
STATED = {
    "TIFF, 8 bits": tiff(ramp(255), 8),
    "TIFF, 8 bits, white is zero": tiff(ramp(255)[::-1], 8, INVERTED),
    "TIFF, 8 bits, alpha": tiff(OPAQUE, 8, bands=2, tags={338: ("H", [2])}),
    "TIFF, 8 bits, premultiplied alpha": tiff(OPAQUE, 8, bands=2, tags={338: ("H", [1])}),
    "TIFF, 12 bits": tiff(ramp(4095), 12),
    "TIFF, 16 bits": tiff(ramp(65535), 16),
    "TIFF, 16 bits, big-endian": tiff(ramp(65535), 16, order=">"),
    "TIFF, 16 bits, white is zero": tiff(ramp(65535)[::-1], 16, INVERTED),
    "TIFF, 10 bits in 16": tiff(ramp(1023), 16, tags={MOST: ("H", [1023])}),
    "TIFF, 12 bits in 16, big-endian": tiff(ramp(4095), 16, order=">", tags={MOST: ("H", [4095])}),
    "TIFF, 12 bits in 16, white is zero": tiff(ramp(4095)[::-1], 16, INVERTED, tags={MOST: ("H", [4095])}),
    "TIFF, 16 bits, the largest value that is there": tiff(ramp(65535), 16, tags={MOST: ("H", [65535])}),
    "TIFF, signed, of a stated range": tiff(
        ramp(2000) - 1000, 16, kind=SIGNED, tags={340: ("d", [-1000]), 341: ("d", [1000])}
    ),
    "TIFF, floats": tiff(ramp(1), 32, kind=FLOATS),
    "TIFF, floats, white is zero": tiff(ramp(1)[::-1], 32, INVERTED, FLOATS, ">"),
    "TIFF, floats of a stated range": tiff(ramp(300), 32, kind=FLOATS, tags={340: ("d", [0]), 341: ("d", [300])}),
    "PNG, 16 bits": png(ramp(65535), 0),
    "PNG, 12 significant of 16 bits": png(ramp(65535), 0, chunks=chunk(b"sBIT", b"\x0c")),
    "PNG, 16 bits, alpha": png(np.stack([ramp(65535), np.full(STEPS, 65535)], 1).ravel(), 4, 2),
    **{f"PGM, maximum {top}": pnm(kind, ramp(top), top) for kind in (2, 5) for top in (255, 256, 1023, 4095, 65535)},
}
STATED_IN_COLOUR = {
    "TIFF": tiff(ramp(65535, 3), 16, RGB, bands=3),
    "TIFF, big-endian": tiff(ramp(65535, 3), 16, RGB, order=">", bands=3),
    "TIFF, CMYK": tiff(np.stack([*[np.zeros(STEPS)] * 3, ramp(65535)[::-1]], 1).ravel(), 16, CMYK, bands=4),
    "PNG": png(ramp(65535, 3), 2, 3),
    **{f"PPM, maximum {top}": pnm(kind, ramp(top, 3), top, 3) for kind in (3, 6) for top in (1023, 65535)},
}
UNSTATED = {
    "TIFF, 12 bits in 16": tiff(ramp(4095), 16),
    "TIFF, 12 bits in 16, and the largest value that is there": tiff(ramp(3000), 16, tags={MOST: ("H", [3000])}),
    "TIFF, 32 bits": tiff(ramp(255), 32),
    "TIFF, 16 bits with sign": tiff(ramp(32767), 16, kind=SIGNED),
    "TIFF, 32 bits with sign": tiff(ramp(2**31 - 1), 32, kind=SIGNED),
    "TIFF, floats": tiff(ramp(255), 32, kind=FLOATS),
    "TIFF, floats below 0": tiff(ramp(2) - 1, 32, kind=FLOATS),
    "PNG, 12 bits in 16": png(ramp(4095), 0, chunks=chunk(b"sBIT", b"\x0c")),
    "PFM": b"Pf\n9 1\n-1.0\n" + ramp(255).astype("<f4").tobytes(),
}
UNREADABLE = {
    "signed bytes": (tiff(ramp(127), 8, kind=SIGNED), "its 8-bit values are signed"),
    "a palette of bytes": (tiff(range(2), 8, PALETTE, tags={320: ("H", [200] * 768)}), "its palette has 8 bits"),
    "12 bits of colour in 16": (tiff(ramp(4095, 3), 16, RGB, bands=3), "its values use fewer bits"),
    "15 bits of colour": (tiff(ramp(32767, 3), 16, RGB, bands=3, tags={MOST: ("H", [32767] * 3)}), "fewer bits"),
    "a transparent colour of 16 bits": (png(ramp(65535, 3), 2, 3, chunk(b"tRNS", bytes(6))), "a transparent colour"),
    "beyond the maximum of a PGM": (pnm(5, ramp(4095), 1023), "values up to 4095, beyond the maximum of 1023"),
    "beyond the maximum of a PPM": (pnm(6, ramp(255, 3), 100, 3), "values up to 255, beyond the maximum of 100"),
}


@pytest.mark.parametrize("name", STATED)
def test_a_ramp_of_a_stated_range_comes_out_as_it_is(tmp_path, name):
    assert_ramp(read(tmp_path, STATED[name]))


@pytest.mark.parametrize("name", STATED_IN_COLOUR)
def test_a_ramp_in_colour_comes_out_as_it_is(tmp_path, name):
    assert_ramp(read(tmp_path, STATED_IN_COLOUR[name], 3))


@pytest.mark.parametrize("name", UNSTATED)
def test_values_of_an_unstated_range_are_rejected_with_what_to_do(tmp_path, name):
    said = reason(read(tmp_path, UNSTATED[name]))
    assert said.endswith(
        "it does not state which values are black and white; set image.value_range, or convert it to 8 bits"
    )


@pytest.mark.parametrize("name", UNREADABLE)
def test_values_that_would_be_read_as_others_are_rejected(tmp_path, name):
    data, said = UNREADABLE[name]
    assert said in reason(read(tmp_path, data, 3))


@pytest.mark.parametrize(
    ("data", "low", "high"),
    [
        (tiff(ramp(255), 32), 0, 255),
        (tiff(ramp(4095), 16), 0, 4095),
        (tiff(ramp(4095)[::-1], 16, INVERTED), 0, 4095),
        (tiff(ramp(2) - 1, 32, kind=FLOATS), -1, 1),
        (png(ramp(16383), 0), 0, 16383),
        (pnm(5, ramp(1023), 1023), 0, 255),
        (tiff(ramp(4095), 12), 0, 255),
    ],
)
def test_a_param_says_the_range_where_a_file_does_not(tmp_path, data, low, high):
    assert_ramp(read(tmp_path, data, 1, (low, high)))


def test_values_outside_the_range_of_the_param_are_rejected(tmp_path):
    said = reason(read(tmp_path, tiff(ramp(5000), 16), 1, (0, 4095)))
    assert said == "its values are 0 to 5000, outside 0 (black) to 4095 (white)"


def test_a_dark_image_of_16_bits_is_read_where_the_param_says_that_it_is_one(tmp_path):
    for data in (tiff(ramp(2570), 16), tiff(ramp(2570, 3), 16, RGB, bands=3)):
        assert read(tmp_path, data, 1, (0, 65535)).raw.max() == 10


@pytest.mark.parametrize("data", [png(np.zeros(9), 0), tiff(np.zeros(9), 16)])
def test_an_image_of_16_bits_that_is_all_black_is_black(tmp_path, data):
    assert not read(tmp_path, data).raw.any()


def test_a_transparent_grey_of_16_bits_is_white(tmp_path):
    found = read(tmp_path, png([5000, 5001, 65535], 0, chunks=chunk(b"tRNS", struct.pack(">H", 5000))))
    assert found.raw.ravel().tolist() == [255, 19, 255]


def test_integers_that_may_have_a_sign_are_rejected(tmp_path):
    cards = ["SIMPLE  =                    T", "BITPIX  =                   16", "NAXIS   =                    2"]
    cards += [
        "NAXIS1  =                    9",
        "NAXIS2  =                    1",
        "BZERO   =                32768",
        "END",
    ]
    head = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    said = reason(read(tmp_path, head + (ramp(65535) - 32768).astype(">i2").tobytes()))
    assert said.startswith("16-bit values of FITS may be signed")


def saved(values, kind, suffix):
    """Return one row of grey values as a file that Pillow saved."""
    file = io.BytesIO()
    Image.fromarray(np.array([values], kind)).save(file, suffix)
    return file.getvalue()


@pytest.mark.parametrize(("form", "kind"), [("png", "<u2"), ("tiff", "<u2"), ("tiff", ">u2"), ("jpeg2000", "<u2")])
def test_16_bits_that_pillow_wrote_come_out_as_they_are(tmp_path, form, kind):
    values = np.repeat([0, 257, 32768, 65535], 16)
    found = read(tmp_path, saved(values, kind, form))
    np.testing.assert_array_equal(found.raw[0, :, 0], np.repeat([0, 1, 128, 255], 16))


def test_float_grey_on_the_unit_interval_is_scaled(tmp_path):
    found = read(tmp_path, saved([0, 0.25, 1], "<f4", "tiff"))
    np.testing.assert_array_equal(found.raw[0, :, 0], [0, 64, 255])


@pytest.mark.parametrize("values", [[0, 300.0], [-0.5, 0], [float("nan"), 0]])
def test_float_grey_of_an_unknown_range_is_rejected_and_not_guessed(tmp_path, values):
    assert "does not state which values are black and white" in reason(read(tmp_path, saved(values, "<f4", "tiff")))
