import itertools
from pathlib import Path

import numpy as np
import pytest
from whole import whole

from pipeline.contents.audio import instruments
from pipeline.contents.audio.content import AudioContent
from pipeline.contents.audio.instruments import INSTRUMENTS, ITEMS, read, sound
from pipeline.contents.sources import Card

SOURCE = Path("data/raw/instruments")


@pytest.fixture(scope="module")
def sounds():
    """Return four hundred raw sounds and their classes."""
    items = list(itertools.islice(read(whole(SOURCE), 8000, 8000, "none"), 400))
    return np.stack([item.raw for item in items]), np.array([item.label for item in items])


def test_a_sound_is_a_function_of_its_number(sounds):
    for i in (0, 123, 399):
        np.testing.assert_array_equal(np.rint(sound(i, 8000, 8000) * 32768).astype(np.int16), sounds[0][i])


def test_no_two_sounds_are_alike(sounds):
    assert len(np.unique(sounds[0], axis=0)) == 400


def test_every_class_of_the_card_has_as_many_sounds(sounds):
    assert sorted(Card.read(SOURCE).classes) == sorted(INSTRUMENTS)
    assert set(np.unique(sounds[1], return_counts=True)[1]) == {80}
    assert ITEMS == 4000


def test_the_whole_set_has_four_thousand_items_under_different_names():
    names = {item.origin for item in read(whole(SOURCE), 64, 8000, "none")}
    assert len(names) == ITEMS


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_sounds_are_finite_within_full_scale_and_end_softly(rate):
    for i in range(25):
        wave = sound(i, rate, rate)
        assert np.isfinite(wave).all()
        assert 0.1 < np.abs(wave).max() < 0.95
        assert np.abs(wave[-2:]).max() < 0.01


def test_sounds_can_be_as_short_as_a_sound_may_be():
    for i in range(100):
        assert np.abs(sound(i, 2000, 8000)).max() > 0.1


def test_loudness_is_made_equal_as_asked():
    raws = [item.raw for item in itertools.islice(read(whole(SOURCE), 8000, 8000, "peak"), 10)]
    np.testing.assert_allclose([np.abs(raw.astype(int)).max() for raw in raws], 32768 * 10**-0.15, rtol=1e-3)


def test_a_string_has_the_pitch_that_was_asked():
    rng = np.random.default_rng(0)
    for hertz in (131.0, 300.0, 878.0):
        size = np.abs(np.fft.rfft(instruments.string(rng, hertz, np.arange(16_000) / 8000)))
        harmonic = size.argmax() / 2 / hertz
        assert round(harmonic) >= 1
        assert harmonic == pytest.approx(round(harmonic), rel=0.01)


def test_a_linear_classifier_recognises_four_of_five_sounds_without_their_pitch_and_loudness(sounds):
    content = AudioContent(1.0, 8000, 64, "peak")
    levels = np.stack([content.encode(raw)[0] for raw in sounds[0]]).astype(float)
    levels = (levels - levels.max(axis=(1, 2), keepdims=True)).clip(-190)
    blind = np.sort(np.sort(levels, axis=1), axis=2).reshape(400, 16, 4, 16, 4).mean((2, 4)).reshape(400, -1)
    x = np.column_stack([blind / (1 + blind.std(axis=0)), np.ones(400)])
    classes = np.array(sorted(INSTRUMENTS))
    y = (sounds[1][:, None] == classes).astype(float)
    weights = np.linalg.solve(x[:300].T @ x[:300] + np.eye(x.shape[1]), x[:300].T @ y[:300])
    assert (classes[(x[300:] @ weights).argmax(axis=1)] == sounds[1][300:]).mean() > 0.8


def test_a_folder_with_another_name_or_with_files_is_not_synthesised(tmp_path):
    other, filled = tmp_path / "mine", tmp_path / "instruments"
    other.mkdir()
    filled.mkdir()
    (filled / "README.md").write_text("about")
    assert read(whole(other), 64, 8000, "none") is None
    assert read(whole(filled), 64, 8000, "none") is not None
    (filled / "a.wav").write_bytes(b"RIFF")
    assert read(whole(filled), 64, 8000, "none") is None
