import base64
import io
import re
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pipeline.contents.audio.content import AudioContent
from pipeline.contents.audio.instruments import sound
from pipeline.contents.audio.waves import to_int16
from pipeline.params.sections import AudioParams

CONTENT = AudioContent(seconds=1.0, rate=8000, mels=64, loudness="none")
SHORT = AudioContent(seconds=0.25, rate=4000, mels=16, loudness="none")
RAWS = np.stack([to_int16(sound(i, 8000, 8000)) for i in range(20)])
ARRAYS = np.stack([CONTENT.encode(raw) for raw in RAWS])


def sine(hertz, level=1.0, content=CONTENT):
    return to_int16(level * np.sin(2 * np.pi * hertz * np.arange(content.samples) / content.rate))


@given(
    st.floats(0.25, 4), st.sampled_from([4000, 8000, 11_025, 16_000, 22_050, 44_100, 48_000]), st.sampled_from([16, 64])
)
@settings(max_examples=20, deadline=None)
def test_an_encoded_sound_has_the_shape_that_the_spec_says(seconds, rate, mels):
    content = AudioContent(seconds, rate, mels, "none")
    array = content.encode(sine(440, content=content))
    assert array.shape == content.spec.shape
    assert array.dtype == content.spec.dtype
    assert array.flags["C_CONTIGUOUS"]
    assert all(side % 4 == 0 for side in array.shape[1:])
    assert 0.010 < content.grid.hop / rate < 0.025


@pytest.mark.parametrize("samples", [0, 1, 5000, 8000, 9000])
def test_of_a_waveform_of_another_length_the_beginning_is_kept(samples):
    raw = np.resize(RAWS[0], samples)
    whole = np.concatenate([raw, np.zeros(8000, np.int16)])[:8000]
    np.testing.assert_array_equal(CONTENT.encode(raw), CONTENT.encode(whole))


def test_a_second_at_8000_or_16000_hz_is_64_bands_by_64_frames():
    for rate in (8000, 16_000):
        assert AudioContent(1.0, rate, 64, "none").spec.shape == (1, 64, 64)


@given(hnp.arrays(np.int16, SHORT.samples))
@settings(max_examples=30, deadline=None)
def test_any_waveform_is_encoded_and_decoded_within_bounds(raw):
    array = SHORT.encode(raw)
    raws = SHORT.decode(array[None])
    assert raws.shape == (1, SHORT.samples)
    assert raws.dtype == np.int16
    assert (array > 0).any() or np.abs(raws).max() < 33


@given(hnp.arrays(np.uint8, SHORT.spec.shape))
@settings(max_examples=30, deadline=None)
def test_any_array_is_decoded_and_the_same_each_time(array):
    raws = SHORT.decode(array[None])
    assert raws.shape == (1, SHORT.samples)
    np.testing.assert_array_equal(raws, SHORT.decode(array[None]))


def test_what_an_item_is_decoded_to_does_not_depend_on_the_others():
    together = CONTENT.decode(ARRAYS)
    for i in (0, 7, 8, 19):
        np.testing.assert_array_equal(together[i], CONTENT.decode(ARRAYS[i : i + 1])[0])


def test_decoded_sounds_are_encoded_to_nearly_the_same_levels():
    again = np.stack([CONTENT.encode(raw) for raw in CONTENT.decode(ARRAYS)])
    off = np.abs(again.astype(int) - ARRAYS)
    assert off.mean() < 3
    assert off.mean(axis=(1, 2, 3)).max() < 10


def test_silence_stays_silent():
    array = CONTENT.encode(np.zeros(8000, np.int16))
    assert not array.any()
    assert not np.any(CONTENT.decode(array[None]))


def test_a_level_means_decibels_below_a_sine_at_full_scale():
    loud, soft = (CONTENT.encode(sine(1000, level))[0].max(axis=0)[8:-8].astype(int) for level in (0.9, 0.09))
    assert np.abs((loud - soft) * 80 / 255 - 20).max() < 1


def test_rising_pitch_rises_in_the_array():
    rows = [CONTENT.encode(sine(hertz))[0].mean(axis=1).argmax() for hertz in (100, 300, 900, 2700)]
    assert rows == sorted(set(rows))


def test_a_decoded_sine_keeps_its_pitch():
    raw = CONTENT.decode(CONTENT.encode(sine(440, 0.5))[None])[0]
    assert abs(np.abs(np.fft.rfft(raw)).argmax() - 440) <= 15


def test_a_sound_is_at_no_distance_from_itself_and_reconstructions_are_nearer_than_others():
    same = CONTENT.reconstruction_scores(RAWS, RAWS)
    near = CONTENT.reconstruction_scores(RAWS, CONTENT.decode(ARRAYS))
    far = CONTENT.reconstruction_scores(RAWS, np.roll(RAWS, 1, axis=0))
    for name in ("reconstruction_loss", "log_spectral_distance"):
        assert near[name].shape == (20,)
        assert (same[name] == 0).all()
        assert near[name].mean() < 0.5 * far[name].mean()
    assert near["reconstruction_loss"].mean() < 0.4
    assert near["log_spectral_distance"].mean() < 4


def test_scores_are_finite_of_silence():
    silent = np.zeros_like(RAWS[:2])
    for a, b in ((silent, RAWS[:2]), (RAWS[:2], silent), (silent, silent)):
        assert all(np.isfinite(each).all() for each in CONTENT.reconstruction_scores(a, b).values())


def test_histograms_count_frames_by_loudness_and_heard_frames_by_centroid():
    found = CONTENT.histograms(np.stack([sine(300, 0.9), sine(3000, 0.009), np.zeros(8000, np.int16)]))
    centroid, loudness = found["centroid"].toarray(), found["loudness"].toarray()
    assert (loudness.sum(axis=1) == 64).all()
    assert centroid.sum(axis=1)[2] == 0
    assert centroid[0].argmax() < centroid[1].argmax()
    assert loudness[0].argmax() < loudness[1].argmax() < loudness[2].argmax() == loudness.shape[1] - 1


def test_units_are_the_values_of_an_array():
    np.testing.assert_array_equal(CONTENT.units(ARRAYS), np.full(20, 4096.0))


def test_a_picture_has_low_frequencies_below_and_a_caption_for_each():
    low = np.asarray(CONTENT.show([sine(200)], columns=1).convert("L")).astype(int)
    assert low[len(low) // 2 :].sum() > low[: len(low) // 2].sum()
    plain, named = (CONTENT.show(RAWS[:3], 2, names) for names in ((), ("a", "b", "far too long " * 9)))
    assert named.height > plain.height
    assert named.width == plain.width


def test_a_saved_and_a_serialised_sound_are_wav_files_with_its_samples(tmp_path):
    CONTENT.save(RAWS[0], tmp_path / f"a{CONTENT.suffix}")
    (text,) = CONTENT.serialise(RAWS[:1], "wav")
    data = base64.b64decode(text)
    assert data == (tmp_path / "a.wav").read_bytes()
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (8000, 1)
        np.testing.assert_array_equal(np.frombuffer(file.readframes(8000), "<i2"), RAWS[0])
    np.testing.assert_array_equal(CONTENT.serialise(RAWS, "array"), RAWS)


def test_a_page_holds_each_sound_beside_its_reconstruction_and_asks_for_nothing_outside():
    page = CONTENT.html(RAWS[:2], RAWS[2:4])
    sounds = re.findall(r'data:audio/wav;base64,([^"]+)"', page)
    assert [base64.b64decode(each)[44:] for each in sounds] == [RAWS[i].tobytes() for i in (0, 2, 1, 3)]
    for picture in re.findall(r'data:image/png;base64,([^"]+)"', page):
        Image.open(io.BytesIO(base64.b64decode(picture))).verify()
    assert "<script" not in page
    assert "http" not in page
    assert page.count('preload="none"') == 4
    assert CONTENT.html(RAWS[:2]).count("<audio") == 2


@pytest.mark.parametrize(
    "wrong", [{"seconds": 0.0}, {"rate": 100}, {"mels": 63}, {"loudness": "loud"}, {"seconds": float("nan")}]
)
def test_settings_out_of_bounds_are_refused(wrong):
    right = {"seconds": 1.0, "rate": 8000, "mels": 64, "loudness": "rms"}
    AudioContent(**AudioParams(**right).model_dump())
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AudioParams(**(right | wrong))


def test_levels_next_to_none_as_models_write_them_are_silence_and_no_hiss():
    levels = np.random.default_rng(0).integers(0, 8, (2, *CONTENT.spec.shape)).astype(np.uint8)
    assert np.abs(CONTENT.decode(levels)).max() == 0
    assert np.abs(CONTENT.decode(levels + np.uint8(8))).max() > 0
