import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from params_files import SHIPPED

from pipeline.params import Params
from pipeline.system import yaml_files
from pipeline.system.errors import ParamsError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("params")


@pytest.mark.parametrize("text", ["", "[1, 2]", "seed: [", "\xff", "vae", "a: b: c"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text):
    (tmp_path / "params.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        Params.load(tmp_path)


def nested(levels, width):
    """Return YAML with `levels` lists, each of which refers to the previous one `width` times."""
    lists = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width) if i else 'x'}]" for i in range(levels)]
    return "\n".join(lists)


SHORT = {
    "bomb": nested(30, 9),
    "merged": "\n".join(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)),
    "itself": "&a {<<: *a}",
    "deep flow": "[" * 5000,
    "deep block": "\n".join(" " * i + "a:" for i in range(500)),
    "large": "seed: 0 #" + "x" * (1 << 20),
    "tagged int": "seed: !!int abc",
    "tagged float": "seed: !!float x",
    "tagged time": "seed: !!timestamp x",
    "date": "seed: 2026-13-45",
    "digits": "seed: " + "9" * 5000,
    "text": "seed: " + "x" * 5000,
    "key": "? [1, 2]\n: 3",
    "numbers for keys": "1: 2",
    "long key": "x" * 5000 + ": 1",
    "many keys": "\n".join(f"k{i}: 1" for i in range(20_000)),
}


@pytest.mark.parametrize("text", SHORT.values(), ids=SHORT)
def test_a_file_that_no_parser_should_be_given_is_refused_in_a_short_line(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text)
    begin = time.monotonic()
    with pytest.raises(ParamsError, match=r"params\.yaml") as caught:
        Params.load(tmp_path)
    assert time.monotonic() - begin < 5
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("written", ["1e-3", "1E-3", "1.0e-3", ".001", "+1e-03"])
def test_a_float_is_read_however_yaml_1_2_writes_it(folder, written):
    text = yaml.safe_dump(SHIPPED).replace("beta: 1.0", f"beta: {written}")
    (folder / "params.yaml").write_text(text)
    assert Params.load(folder).vae.beta == 0.001


def test_an_anchor_can_be_referred_to(folder):
    text = yaml.safe_dump(SHIPPED).replace("seed: 0", "seed: &s 7").replace("warmup_steps: 100", "warmup_steps: *s")
    (folder / "params.yaml").write_text(text)
    assert Params.load(folder).train.warmup_steps == 7


@pytest.mark.parametrize("second", ["seed: 3", "vae: {}", '"seed": 3'])
def test_a_key_that_is_there_twice_is_refused_by_its_name(folder, second):
    (folder / "params.yaml").write_text(yaml.safe_dump(SHIPPED) + second)
    with pytest.raises(ParamsError, match=r"(seed|vae) appears 2 times"):
        Params.load(folder)


def test_a_key_that_overrides_a_merged_one_is_there_once():
    assert yaml_files.parse(b"a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}") == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}}


LINES = yaml.safe_dump(SHIPPED).splitlines()
SIGNS = ["- ", "&a ", "*a", "<<: *a", "!!int ", "? ", ": ", "{", "}", "[", "]", "'", '"', "|", "\t", "#"]
PIECES = st.sampled_from([*LINES, *SIGNS]) | st.text(max_size=5)
TEXTS = st.text() | st.lists(PIECES, max_size=40).map("".join) | st.permutations(LINES).map("\n".join)


def said(read, *errors):
    """Return the message of an expected error, or an empty one; any other error fails the test."""
    try:
        read()
    except errors as error:
        return str(error)
    return ""


@settings(max_examples=300, deadline=5000)
@given(text=TEXTS)
def test_whatever_stands_in_a_file_gives_params_or_one_short_line(folder, text):
    (folder / "params.yaml").write_bytes(text.encode(errors="surrogatepass"))
    found = said(lambda: Params.load(folder), ParamsError)
    assert "\n" not in found
    assert len(found) < 2500


@settings(max_examples=200, deadline=5000)
@given(data=st.binary())
def test_whatever_bytes_a_file_has_gives_values_or_a_reason_of_one_line(data):
    assert "\n" not in said(lambda: yaml_files.parse(data), ValueError)
