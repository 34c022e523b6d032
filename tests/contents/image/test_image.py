import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.contents.image.content import ImageContent


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [16, 28, 33])
def test_an_image_of_the_right_size_comes_back_as_it_was(size, channels):
    content = ImageContent(size, channels)
    raws = np.random.default_rng(0).integers(0, 256, (5, size, size, channels), np.uint8)
    encoded = np.stack([content.encode(raw) for raw in raws])
    assert encoded.dtype == np.uint8
    assert encoded.shape == (5, *content.spec.shape)
    np.testing.assert_array_equal(content.decode(encoded), raws)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    found=st.sampled_from([1, 3]),
    wanted=st.sampled_from([1, 3]),
    size=st.integers(16, 40),
)
def test_an_image_of_any_size_and_colour_gets_the_shape_of_the_spec(height, width, found, wanted, size):
    content = ImageContent(size, wanted)
    raw = np.full((height, width, found), 77, np.uint8)
    encoded = content.encode(raw)
    assert encoded.shape == content.spec.shape
    assert encoded.flags["C_CONTIGUOUS"]
    # a flat image stays flat, whatever the filter
    assert np.abs(encoded.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("axis", [0, 1])
def test_the_centre_of_an_oblong_image_is_kept_and_not_its_border(axis):
    raw = np.zeros((28, 28, 1), np.uint8)
    raw = np.concatenate([raw, np.full_like(raw, 255), raw], axis)
    assert ImageContent(28, 1).encode(raw).min() == 255


def test_a_fine_pattern_is_antialiased_and_not_sampled():
    raw = (np.indices((280, 280)).sum(0) % 2 * 255).astype(np.uint8)[..., None]
    encoded = ImageContent(28, 1).encode(raw).astype(int)
    assert np.abs(encoded - 127).max() <= 3


def test_an_image_that_is_very_long_is_cut_before_it_is_enlarged():
    raw = np.full((1, 10_000_000, 1), 9, np.uint8)
    encoded = ImageContent(256, 1).encode(raw)
    assert encoded.shape == (1, 256, 256)
    assert (encoded == 9).all()


def test_a_grey_image_is_repeated_over_colours():
    raw = np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8)
    np.testing.assert_array_equal(ImageContent(16, 3).encode(raw), np.repeat(raw, 3, 2).transpose(2, 0, 1))


def test_colours_become_grey_by_their_luma():
    raw = np.zeros((16, 16, 3), np.uint8)
    raw[:, :8, 1] = 255
    encoded = ImageContent(16, 1).encode(raw)[0]
    assert np.abs(encoded[:, :8].astype(int) - 150).max() <= 1
    assert (encoded[:, 8:] == 0).all()


def test_reconstruction_loss_is_the_mean_square_on_the_unit_interval_per_image():
    content = ImageContent(16, 1)
    white, black = np.full((16, 16, 1), 255, np.uint8), np.zeros((16, 16, 1), np.uint8)
    grey = np.full((16, 16, 1), 51, np.uint8)
    found = content.reconstruction_scores([white, white, black], [white, black, grey])
    np.testing.assert_allclose(found["reconstruction_loss"], [0, 1, 0.04])
    np.testing.assert_allclose(found["psnr"], [100, 0, -10 * np.log10(0.04)], atol=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_one_for_the_same_image_and_that_of_the_means_for_flat_ones(channels):
    rng = np.random.default_rng(0)
    raws = rng.integers(0, 256, (3, 16, 16, channels), dtype=np.uint8)
    content = ImageContent(16, channels)
    np.testing.assert_allclose(content.reconstruction_scores(raws, raws)["ssim"], 1)
    flat = np.stack([np.full((16, 16, channels), value, np.uint8) for value in (10, 200)])
    # without variance only the means are left: (2 ab + c1) / (a^2 + b^2 + c1), c1 = 0.01^2
    a, b = 10 / 255, 200 / 255
    found = content.reconstruction_scores(flat, flat[::-1])["ssim"]
    np.testing.assert_allclose(found, [(2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)] * 2, rtol=1e-6)
    assert content.reconstruction_scores(raws[:1], raws[1:2])["ssim"].shape == (1,)


def test_a_page_shows_every_image_in_its_place_row_by_row():
    content = ImageContent(32, 3)
    raws = [np.full((32, 32, 3), value, np.uint8) for value in (10, 60, 110, 160, 210)]
    page = np.asarray(content.show(raws, columns=2))
    assert page.shape == (3 * 66 + 2, 2 * 66 + 2, 3)
    for i, raw in enumerate(raws):
        row, column = divmod(i, 2)
        assert (page[2 + row * 66 : 66 + row * 66, 2 + column * 66 : 66 + column * 66] == raw[0, 0]).all()


def test_a_caption_takes_room_below_its_image_and_stays_within_its_width():
    content = ImageContent(64, 1)
    raws = [np.full((64, 64, 1), 255, np.uint8)] * 2
    plain, captioned = content.show(raws, 2), content.show(raws, 2, ["a" * 100, ""])
    assert captioned.height == plain.height + 14
    page = np.asarray(captioned)
    assert page[66:, 2:66].min() < 128
    assert page[:, 66:].min() == 255


@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_holds_the_pixels_as_they_are_and_can_be_sent_as_json(channels):
    content = ImageContent(16, channels)
    stored = np.random.default_rng(0).integers(0, 256, (3, *content.spec.shape), np.uint8)
    raws = content.decode(stored)
    array, files = (content.serialise(raws, form) for form in content.formats)
    assert json.loads(json.dumps(array.tolist())) == raws.tolist()
    for text, raw in zip(json.loads(json.dumps(files)), raws, strict=True):
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as file:
            assert file.format == "PNG"
            np.testing.assert_array_equal(np.atleast_3d(np.asarray(file)), raw)
