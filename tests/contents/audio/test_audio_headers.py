import struct
from itertools import product

import numpy as np
import pytest
import soundfile
from sounds import KINDS, RATE, found, raw, reason, tone, write

from pipeline.contents.base import Item


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
"""Format, encoding of samples, and byte order."""


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
        assert reason(tmp_path) == "truncated: it is shorter than its header states"


def test_a_wav_with_an_odd_chunk_that_is_not_filled_up_is_held_to_its_length(tmp_path):
    path = tmp_path / "a.wav"
    write(path, tone())
    data = path.read_bytes()
    at = data.index(b"data")
    path.write_bytes(data[:at] + b"junk" + struct.pack("<I", 3) + b"odd" + data[at:-1500])
    assert reason(tmp_path) == "truncated: it is shorter than its header states"


@pytest.mark.parametrize("form", ["PVF", "IRCAM", "VOC", "AVR", "PAF"])
def test_a_format_that_states_no_length_is_rejected_by_name(tmp_path, form):
    soundfile.write(tmp_path / "a", tone(), RATE, "PCM_16", format=form)
    assert reason(tmp_path).endswith("cannot be checked for truncation; convert it to WAV or FLAC")


@pytest.mark.parametrize("tags", [0, 40_000])
def test_a_truncated_mp3_is_found_behind_its_tags(tmp_path, tags):
    path = tmp_path / "a.mp3"
    write(path, np.random.default_rng(0).normal(0, 0.1, 3 * RATE))
    header = b"ID3\x04\x00\x00" + bytes(tags >> 7 * i & 0x7F for i in (3, 2, 1, 0)) + bytes(tags)
    data = header + path.read_bytes()
    path.write_bytes(data)
    assert len(found(tmp_path)) == 3
    path.write_bytes(data[: len(data) - 1000])
    assert reason(tmp_path) == "truncated: it is shorter than its header states"


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_whose_size_is_unknown_is_read_to_its_end(tmp_path, size):
    path = tmp_path / "a.wav"
    write(path, tone())
    data = path.read_bytes()
    at = data.index(b"data") + 4
    path.write_bytes(data[:4] + struct.pack("<I", size) + data[8:at] + struct.pack("<I", size) + data[at + 4 :])
    assert np.abs(raw(tmp_path) - tone()).max() <= 1 / 32768
