import struct
from itertools import product

import numpy as np
import pytest
import soundfile
from whole import whole

from pipeline.contents import audio_files
from pipeline.contents.base import Item, Rejected

RATE = 8000
KINDS = {
    "wav": "PCM_16",
    "flac": "PCM_16",
    "ogg": "VORBIS",
    "opus": "OPUS",
    "mp3": "MPEG_LAYER_III",
    "aiff": "PCM_16",
}


def tone(seconds=1.0, rate=RATE, hertz=440.0, level=0.5):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path, samples, rate=RATE, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"opus": "OGG", "": "WAV"}.get(path.suffix[1:], path.suffix[1:].upper())
    soundfile.write(path, samples, rate, format=form, subtype=subtype or KINDS.get(path.suffix[1:], "PCM_16"))


def found(folder, loudness="none"):
    return sorted(audio_files.read(whole(folder), RATE, RATE, loudness), key=lambda each: each.origin)


def raw(folder, loudness="none"):
    (item,) = found(folder, loudness)
    assert isinstance(item, Item), item
    assert item.raw.dtype == np.int16
    assert item.raw.shape == (RATE,)
    return item.raw.astype(float) / 32768


def reason(folder):
    (rejected,) = found(folder)
    assert isinstance(rejected, Rejected)
    assert "\n" not in rejected.reason
    assert str(folder) not in rejected.reason
    return rejected.reason


def loudest_hertz(samples):
    return np.abs(np.fft.rfft(samples)).argmax() * RATE / len(samples)


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
def test_a_lossless_file_gives_the_samples_that_were_saved(tmp_path, suffix):
    write(tmp_path / f"a.{suffix}", tone())
    assert np.abs(raw(tmp_path) - tone()).max() <= 1 / 32768


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_a_lossy_file_gives_the_sound_that_was_saved(tmp_path, suffix):
    write(tmp_path / f"a.{suffix}", tone())
    samples = raw(tmp_path)
    assert loudest_hertz(samples) == pytest.approx(440, abs=2)
    assert np.sqrt(np.square(samples).mean()) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("rate", [4000, 11_025, 44_100, 48_000, 96_000])
def test_a_file_of_another_rate_keeps_its_pitch_and_length(tmp_path, rate):
    write(tmp_path / "a.wav", tone(rate=rate), rate)
    assert np.abs(raw(tmp_path) - tone())[400:-400].max() < 0.01


def test_what_is_too_high_for_the_rate_is_filtered_and_not_folded(tmp_path):
    high = tone(rate=48_000, hertz=5000) + tone(rate=48_000, hertz=300, level=0.2)
    write(tmp_path / "a.wav", high, 48_000)
    assert np.abs(raw(tmp_path) - tone(hertz=300, level=0.2))[400:-400].max() < 0.01


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_averaged(tmp_path, channels):
    levels = np.linspace(0.1, 0.6, channels)
    write(tmp_path / "a.wav", tone(level=1)[:, None] * levels)
    assert np.abs(raw(tmp_path) - tone(level=levels.mean())).max() <= 2 / 32768


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_samples_of_every_width_have_the_same_level(tmp_path, subtype):
    write(tmp_path / "a.wav", tone(), subtype=subtype)
    assert np.abs(raw(tmp_path) - tone()).max() < 0.03


def test_a_short_file_is_filled_up_with_zeros_at_its_end(tmp_path):
    write(tmp_path / "a.wav", tone(0.3))
    samples = raw(tmp_path)
    assert np.abs(samples[:2400] - tone(0.3)).max() <= 1 / 32768
    assert (samples[2400:] == 0).all()


@pytest.mark.parametrize(("seconds", "count"), [(1.4, 1), (1.5, 2), (3.0, 3), (3.4, 3), (3.6, 4)])
def test_a_long_file_is_cut_into_items_of_one_group_and_a_short_rest_is_left(tmp_path, seconds, count):
    write(tmp_path / "a" / "b.wav", tone(seconds))
    items = found(tmp_path)
    assert len(items) == count
    assert len({item.origin for item in items}) == count
    assert {item.group for item in items} == ({"a/b.wav"} if count > 1 else {None})
    whole = np.concatenate([item.raw for item in items])[: round(seconds * RATE)] / 32768
    assert np.abs(whole - tone(seconds)[: len(whole)]).max() <= 1 / 32768


def test_a_silent_part_of_a_file_gives_no_item_and_no_complaint(tmp_path):
    write(tmp_path / "a.wav", np.concatenate([tone(), np.zeros(RATE), tone()]))
    assert [item.origin for item in found(tmp_path)] == ["a.wav[0]", "a.wav[2]"]


def test_loudness_is_made_equal_where_that_is_asked(tmp_path):
    write(tmp_path / "a.wav", tone(level=0.01))
    assert np.abs(raw(tmp_path)).max() == pytest.approx(0.01, abs=1e-4)
    assert np.abs(raw(tmp_path, "peak")).max() == pytest.approx(10 ** (-3 / 20), abs=1e-3)
    assert np.sqrt(np.square(raw(tmp_path, "rms")).mean()) == pytest.approx(0.1, abs=1e-3)


def test_a_click_is_not_raised_beyond_the_peak_for_its_mean_square(tmp_path):
    write(tmp_path / "a.wav", np.eye(1, RATE, 100)[0] * 0.5)
    assert np.abs(raw(tmp_path, "rms")).max() == pytest.approx(10 ** (-3 / 20), abs=1e-3)


def test_the_class_is_the_first_subfolder(tmp_path):
    for name in ("a.wav", "dog/a.wav", "cat/deep/b.wav"):
        write(tmp_path / name, tone())
    assert {item.origin: item.label for item in found(tmp_path)} == {
        "a.wav": None,
        "cat/deep/b.wav": "cat",
        "dog/a.wav": "dog",
    }


def test_files_about_the_data_and_hidden_ones_are_no_items(tmp_path):
    for name in ("README.md", "LICENSE", "licence.txt", "source.json", ".hidden", ".git/config", "dog/.DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    assert found(tmp_path) == []


def test_a_file_is_read_by_its_bytes_and_not_by_its_name(tmp_path):
    write(tmp_path / "a.wav", tone())
    (tmp_path / "a.wav").rename(tmp_path / "without ending")
    assert np.abs(raw(tmp_path) - tone()).max() <= 1 / 32768


@pytest.mark.parametrize("keep", [0.03, 0.5, 0.97, 0.999])
@pytest.mark.parametrize("suffix", KINDS)
def test_a_truncated_file_is_rejected_as_such(tmp_path, suffix, keep):
    path = tmp_path / f"a.{suffix}"
    write(path, np.random.default_rng(0).normal(0, 0.1, 3 * RATE))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    assert reason(tmp_path).startswith(("truncated", "not a sound file"))


LENGTHS = [
    ("WAV", "PCM_16", None),
    ("WAV", "PCM_24", None),
    ("WAV", "FLOAT", None),
    ("WAV", "IMA_ADPCM", None),
    ("WAV", "PCM_16", "BIG"),
    ("WAVEX", "PCM_16", None),
    ("RF64", "PCM_16", None),
    ("W64", "PCM_16", None),
    ("AIFF", "PCM_16", None),
    ("SVX", "PCM_16", None),
    ("AU", "PCM_16", None),
    ("AU", "ULAW", "LITTLE"),
    ("CAF", "PCM_16", None),
    ("CAF", "ALAC_16", None),
    ("NIST", "PCM_24", None),
    ("HTK", "PCM_16", None),
    ("FLAC", "PCM_16", None),
    ("OGG", "VORBIS", None),
    ("MP3", "MPEG_LAYER_III", None),
]
"""A format, how it keeps samples, and the order of its bytes."""


@pytest.mark.parametrize(("form", "subtype", "endian"), LENGTHS)
def test_every_format_is_held_to_the_length_that_it_states(tmp_path, form, subtype, endian):
    path = tmp_path / "a"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 8004), RATE, subtype, endian, form)
    assert isinstance(found(tmp_path)[0], Item)
    data = path.read_bytes()
    for missing in (len(data) // 2, len(data) // 3, 2):  # the last byte may only fill up a chunk
        path.write_bytes(data[:-missing])
        assert reason(tmp_path).startswith(("truncated", "not a sound file")), missing


@pytest.mark.parametrize(("form", "junk"), [*product(["WAV"], [16, 17, 70_001, 1_000_000]), ("RF64", 70_000)])
def test_a_wav_is_held_to_the_length_of_its_data_wherever_they_begin(tmp_path, form, junk):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), RATE, "PCM_16", format=form)
    data = path.read_bytes()
    at = data.index(b"data")
    data = data[:at] + b"junk" + struct.pack("<I", junk) + bytes(junk + junk % 2) + data[at:]
    path.write_bytes(data)
    assert np.abs(raw(tmp_path) - tone()).max() <= 1 / 32768
    for missing in (1, 1500, 8000):
        path.write_bytes(data[:-missing])
        assert reason(tmp_path) == "truncated: it is shorter than it says"


def test_a_wav_with_an_odd_chunk_that_is_not_filled_up_is_held_to_its_length(tmp_path):
    path = tmp_path / "a.wav"
    write(path, tone())
    data = path.read_bytes()
    at = data.index(b"data")
    path.write_bytes(data[:at] + b"junk" + struct.pack("<I", 3) + b"odd" + data[at:-1500])
    assert reason(tmp_path) == "truncated: it is shorter than it says"


@pytest.mark.parametrize("form", ["PVF", "IRCAM", "VOC", "AVR", "PAF"])
def test_a_format_that_does_not_say_how_long_it_is_is_rejected_by_name(tmp_path, form):
    soundfile.write(tmp_path / "a", tone(), RATE, "PCM_16", format=form)
    assert reason(tmp_path).endswith("nothing tells whether it is whole; convert it to WAV or FLAC")


@pytest.mark.parametrize("tags", [0, 40_000])
def test_a_truncated_mp3_is_found_behind_its_tags(tmp_path, tags):
    path = tmp_path / "a.mp3"
    write(path, np.random.default_rng(0).normal(0, 0.1, 3 * RATE))
    header = b"ID3\x04\x00\x00" + bytes(tags >> 7 * i & 0x7F for i in (3, 2, 1, 0)) + bytes(tags)
    data = header + path.read_bytes()
    path.write_bytes(data)
    assert len(found(tmp_path)) == 3
    path.write_bytes(data[: len(data) - 1000])
    assert reason(tmp_path) == "truncated: it is shorter than it says"


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_whose_size_is_unknown_is_read_to_its_end(tmp_path, size):
    path = tmp_path / "a.wav"
    write(path, tone())
    data = path.read_bytes()
    at = data.index(b"data") + 4
    path.write_bytes(data[:4] + struct.pack("<I", size) + data[8:at] + struct.pack("<I", size) + data[at + 4 :])
    assert np.abs(raw(tmp_path) - tone()).max() <= 1 / 32768


def test_a_flac_whose_bytes_were_changed_is_rejected(tmp_path):
    path = tmp_path / "a.flac"
    write(path, np.random.default_rng(0).normal(0, 0.1, 3 * RATE))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    assert "damaged" in reason(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_rejected(tmp_path, value):
    samples = tone()
    samples[77] = value
    write(tmp_path / "a.wav", samples, subtype="FLOAT")
    assert reason(tmp_path) == "it has samples that are NaN or infinite"


@pytest.mark.parametrize("level", [0, 5e-4])
def test_a_silent_file_is_rejected(tmp_path, level):
    write(tmp_path / "a.wav", tone(level=level))
    assert reason(tmp_path) == "silent: no sample is above -60 dB"


def test_channels_that_cancel_each_other_are_silent(tmp_path):
    write(tmp_path / "a.wav", np.stack([tone(), -tone()], axis=1))
    assert reason(tmp_path).startswith("silent")


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_clipped_file_is_rejected_with_the_share(tmp_path, subtype):
    clipped = tone(level=1.5)
    write(tmp_path / "a.wav", clipped if subtype == "FLOAT" else clipped.clip(-1, 1), subtype=subtype)
    assert reason(tmp_path).startswith("clipped: 53.")


def test_a_sine_that_just_reaches_full_scale_is_not_clipped(tmp_path):
    write(tmp_path / "a.wav", tone(level=1))
    assert np.abs(raw(tmp_path)).max() > 0.999


def test_empty_files_are_rejected_as_empty(tmp_path):
    (tmp_path / "a.mp3").touch()
    assert reason(tmp_path) == "the file is empty"
    (tmp_path / "a.mp3").unlink()
    write(tmp_path / "a.wav", np.zeros(0))
    assert reason(tmp_path) == "it has no samples"


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.ogg", "a.flac", "a.raw", "a"])
@pytest.mark.parametrize("data", [b"name,class\n1,2\n" * 200, bytes(5000), np.random.default_rng(0).bytes(5000)])
def test_a_file_that_is_no_sound_is_rejected_as_such(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    assert reason(tmp_path) == "not a sound file that libsndfile knows"


def test_a_file_that_would_fill_the_memory_is_rejected_before_it_is_decoded(tmp_path):
    write(tmp_path / "a.flac", np.zeros(3601 * 4000), 4000)
    assert reason(tmp_path) == "longer than 3600 seconds; cut it into parts"


def test_a_link_to_nowhere_is_rejected(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert reason(tmp_path) == "it is a link to nothing"
