import numpy as np
import pytest
from sounds import RATE, found, loudest_hertz, raw, reason, tone, write


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


def test_frequencies_too_high_for_the_rate_are_filtered_and_not_aliased(tmp_path):
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


def test_a_flac_whose_bytes_were_changed_is_rejected(tmp_path):
    path = tmp_path / "a.flac"
    write(path, np.random.default_rng(0).normal(0, 0.1, 3 * RATE))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    assert "corrupt" in reason(tmp_path)


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
    assert reason(tmp_path) == "not a sound file that libsndfile can read"


def test_a_file_that_would_fill_the_memory_is_rejected_before_it_is_decoded(tmp_path):
    write(tmp_path / "a.flac", np.zeros(3601 * 4000), 4000)
    assert reason(tmp_path) == "longer than 3600 seconds; cut it into parts"


def test_a_link_to_nowhere_is_rejected(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert reason(tmp_path) == "it is a broken link"
