"""Model folders that something changed, digests and all: one line names the file, the place and the remedy."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from smallest import SETTINGS

from pipeline import contents
from pipeline.contents.tokens.vocabulary import learn_bpe
from pipeline.models import families, storage
from pipeline.models.saved import SavedModel
from pipeline.system import disk
from pipeline.system.errors import ArtifactError

TOKENIZER = learn_bpe(["the cat sat on the mat. " * 9], 280)
LEARNT = {"bytes": {"alphabet": [32, 97, 98, 99]}, "bpe": {"tokenizer": TOKENIZER}}
DEEP = "[" * 100_000 + "]" * 100_000


def write_images(folder, toy, name="vae", **changes):
    storage.save(folder, toy.family(name, **changes), toy.about(name, **changes))


def write_texts(folder, vocabulary, learnt=None):
    section = {"length": 16, "vocabulary": vocabulary, "vocabulary_size": 300, "field": "text", "most": 0}
    content = contents.build("text", section, LEARNT[vocabulary])
    params = {"content": "text", "text": section, "family": "vae", "vae": SETTINGS["vae"]}
    about = SavedModel("vae", "text", params, "d" * 64, LEARNT[vocabulary] if learnt is None else learnt)
    storage.save(folder, families.build("vae", SETTINGS["vae"], content.spec), about)


def change(folder, place, value):
    """Set what a place of model.json says, bytes as they are; `...` takes the place away."""
    path = folder / "model.json"
    tree = json.loads(path.read_text())
    *above, last = place.split(".")
    at = tree
    for name in above:
        at = at[name]
    at[last] = "PLACE" if isinstance(value, bytes) else value
    if value is ...:
        del at[last]
    text = json.dumps(tree)
    path.write_text(text.replace('"PLACE"', value.decode()) if isinstance(value, bytes) else text)


def refused(folder):
    with pytest.raises(ArtifactError) as caught:
        storage.load(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    assert str(folder) in said
    assert "`dvc repro -f train` to make it again, or fetch it again" in said
    return said


DESCRIPTIONS = [
    ("params.vae.blocks", -1, "vae.blocks is -1"),
    ("params.vae.blocks", 1_000_000, "vae.blocks is 1000000"),
    ("params.vae.blocks", 1.5, "vae.blocks is 1.5"),
    ("params.vae.blocks", "1", "vae.blocks is '1'"),
    ("params.vae.blocks", True, "vae.blocks is True"),
    ("params.vae.blocks", None, "vae.blocks is None"),
    ("params.vae.blocks", ..., "vae.blocks is missing"),
    ("params.vae.blocks", b"9" * 5000, "number out of range"),
    ("params.vae.blocks", 10**4000, "vae.blocks is 1000"),
    ("params.vae.width", 0, "vae.width is 0"),
    ("params.vae.width", 12, "vae.width is 12"),
    ("params.vae.width", 8.0, "vae.width is 8.0"),
    ("params.vae.width", math.nan, "vae.width is nan"),
    ("params.vae.width", 1 << 40, "vae.width is 1099511627776"),
    ("params.vae.latent_dim", 0, "vae.latent_dim is 0"),
    ("params.vae.latent_dim", [4], "vae.latent_dim is [4]"),
    ("params.vae.components", 0, "vae.components is 0"),
    ("params.vae.components", -3, "vae.components is -3"),
    ("params.vae.prior", "flow", "vae.prior is 'flow'"),
    ("params.vae.prior", None, "vae.prior is None"),
    ("params.vae.likelihood", "cauchy", "vae.likelihood is 'cauchy'"),
    ("params.vae.tokens.temperature", math.inf, "vae.tokens.temperature is inf"),
    ("params.vae.unheard_of", 1, "vae.unheard_of is unknown"),
    ("params.vae", {}, "vae.latent_dim is missing"),
    ("params.vae", [], "vae is []"),
    ("params.vae", ..., "vae is missing"),
    ("params.image.side", 0, "image.side is 0"),
    ("params.image.side", 1_000_000, "image.side is 1000000"),
    ("params.image.channels", 2, "image.channels is 2"),
    ("params.image.channels", True, "image.channels is True"),
    ("params.image", None, "image is None"),
    ("params.train.ema", "much", "train.ema is 'much'"),
    ("params.train.ema", math.nan, "train.ema is nan"),
    ("params.seed", -1, "seed is -1"),
    ("params.family", "gan", "gan"),
    ("params.content", "smell", "content is 'smell'"),
    ("params", {}, "content is missing"),
    ("params", None, "params is None"),
    ("params", [["vae", 1]], "params is [['vae', 1]]"),
    ("params", DEEP.encode(), "recursion"),
    ("family", "quantum", "family is quantum, and in its params vae"),
    ("family", None, "family is None"),
    ("content", ["image"], "content is ['image']"),
    ("learnt", None, "learnt is None"),
    ("learnt", {"alphabet": [1]}, "describes no content"),
    ("learnt", {"side": 16}, "describes no content"),
    ("data_digest", None, "data_digest is None"),
    ("data_digest", [], "data_digest is []"),
    ("data_digest", "digest", "data_digest is 'digest'"),
    ("weights_sha256", None, "weights_sha256 is None"),
    ("weights_sha256", ["a" * 64], "weights_sha256 is ['aaa"),
    ("weights_sha256", ..., "weights_sha256 is missing"),
    ("format", "3", "format is '3'"),
    ("format", 0, "format is 0"),
    ("format", True, "format is True"),
    ("extra", 1, "extra is unknown; allowed here: content, data_digest, family"),
]


@pytest.mark.parametrize(
    ("place", "value", "said"), DESCRIPTIONS, ids=[f"{place} {str(value)[:20]}" for place, value, _ in DESCRIPTIONS]
)
def test_a_description_that_no_params_make_is_refused_by_name_and_value(toy, tmp_path, place, value, said):
    write_images(tmp_path, toy)
    change(tmp_path, place, value)
    assert said in refused(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("vae.latent_dim", 4096),
        ("vae.width", 512),
        ("vae.blocks", 0),
        ("vae.components", 1000),
        ("vae.prior", "normal"),
        ("vae.likelihood", "bernoulli"),
        ("image.side", 256),
        ("image.channels", 3),
    ],
)
def test_params_of_another_network_are_refused(toy, tmp_path, place, value):
    write_images(tmp_path, toy)
    change(tmp_path, f"params.{place}", value)
    assert "weights.safetensors: does not fit model.json" in refused(tmp_path)


def first(weights):
    return next(name for name in sorted(weights) if name.endswith("weight"))


WEIGHTS = {
    "NaN": (lambda found: {first(found): found[first(found)] * math.nan}, "not finite"),
    "infinite": (lambda found: {first(found): found[first(found)] + math.inf}, "not finite"),
    "integers": (lambda found: {first(found): found[first(found)].int()}, "is int32 of the shape"),
    "halves": (lambda found: {first(found): found[first(found)].half()}, "is float16 of the shape"),
    "booleans": (lambda found: {first(found): found[first(found)].bool()}, "is bool of the shape"),
    "complex": (lambda found: {first(found): found[first(found)].cfloat()}, "is complex64 of the shape"),
    "shorter": (lambda found: {first(found): found[first(found)][:1].clone()}, "of the shape (1,"),
    "empty": (lambda found: {first(found): torch.zeros(0)}, "of the shape (0,)"),
    "unknown": (lambda found: {"critic.weight": torch.zeros(3)}, "critic.weight is float32 of the shape (3,)"),
    "missing": (lambda found: {first(found): None}, "is not there, and in its network float32"),
    "a NaN of the mixture": (lambda found: {"prior.means": found["prior.means"] * math.nan}, "prior.means"),
    "negative": (lambda found: {"prior.weights": torch.tensor([1.5, -0.25, -0.25])}, "-0.25 and more"),
    "too much": (lambda found: {"prior.weights": torch.full((3,), 0.5)}, "sum to 1.5"),
    "nothing": (lambda found: {"prior.weights": torch.zeros(3)}, "sum to 0"),
    "no variance": (lambda found: {"prior.factors": torch.zeros(3, 4, 4)}, "positive diagonals"),
    "a negative variance": (lambda found: {"prior.factors": -found["prior.factors"]}, "positive diagonals"),
    "no triangle": (lambda found: {"prior.factors": torch.ones(3, 4, 4)}, "lower triangles"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_of_no_model_are_refused_by_name_although_their_digest_agrees(toy, tmp_path, kind):
    write_images(tmp_path, toy)
    path, (corruption, said) = tmp_path / "weights.safetensors", WEIGHTS[kind]
    found = load_file(path)
    save_file({name: each for name, each in (found | corruption(found)).items() if each is not None}, path)
    change(tmp_path, "weights_sha256", disk.sha256(path))
    assert said in refused(tmp_path)


@pytest.mark.parametrize(
    ("vocabulary", "learnt", "said"),
    [
        ("bytes", {"alphabet": [97, 97, 98, 99]}, "alphabet is [97, 97, 98, 99]"),
        ("bytes", {"alphabet": [97, 98, 99]}, "does not fit model.json"),
        ("bytes", {"alphabet": []}, "does not fit model.json"),
        ("bytes", {}, "does not fit model.json"),
        ("bpe", {}, "does not fit model.json"),
        ("bpe", {"tokenizer": "{}"}, "tokenizer is '{}'"),
        ("bpe", {"tokenizer": DEEP}, "tokenizer is '[[["),
        ("bpe", {"words": ["the", "cat"]}, "describes no content"),
    ],
)
def test_what_is_no_vocabulary_or_that_of_another_model_is_refused(tmp_path, vocabulary, learnt, said):
    write_texts(tmp_path, vocabulary, learnt)
    assert said in refused(tmp_path)


@pytest.mark.parametrize("vocabulary", LEARNT)
def test_what_a_content_learnt_is_taken_as_it_was_written(tmp_path, vocabulary):
    write_texts(tmp_path, vocabulary)
    assert storage.load(tmp_path).sample(2, 0).shape == (2, 16)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("text.length", 0),
        ("text.length", 1_000_000),
        ("text.length", "16"),
        ("text.vocabulary", "words"),
        ("text.field", 3),
        ("vae.tokens.context", 0),
    ],
)
def test_settings_of_texts_are_held_to_their_section(tmp_path, place, value):
    write_texts(tmp_path, "bytes")
    change(tmp_path, f"params.{place}", value)
    assert f"{place} is {value!r}" in refused(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"), [("width", 0), ("width", 1 << 40), ("blocks", -1), ("tokens.gradient_penalty", "much")]
)
def test_the_other_family_is_held_to_its_section_as_well(toy, tmp_path, place, value):
    write_images(tmp_path, toy, "gan")
    change(tmp_path, f"params.gan.{place}", value)
    assert f"gan.{place} is {value!r}" in refused(tmp_path)


@pytest.mark.parametrize("place", ["params.prepare", "params.train.epochs", "params.train.pace", "params.pace"])
def test_a_model_outlives_params_that_build_nothing(toy, tmp_path, place):
    write_images(tmp_path, toy)
    change(tmp_path, place, {} if place == "params.prepare" else 1)
    assert storage.load(tmp_path).about.family == "vae"


def test_what_a_model_of_another_format_says_is_left_alone(toy, tmp_path):
    write_images(tmp_path, toy)
    change(tmp_path, "params.vae.size", 8)
    change(tmp_path, "format", ...)
    assert SavedModel.read(tmp_path).params["vae"]["size"] == 8
