"""Compare the marks of params that do not apply with what contents, families and extractors really read."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from inception_weights import write
from smallest import SETTINGS, batch
from whole import whole

from pipeline.contents import CONTENTS
from pipeline.contents.text.content import TextContent
from pipeline.evaluation import extractors
from pipeline.evaluation.extractors import in_domain
from pipeline.models.families import FAMILIES
from pipeline.models.saved import SavedModel
from pipeline.params import FeaturesParams, flatten
from pipeline.params.effective import effective
from pipeline.params.sections import TOKENS
from pipeline.system.rng import Noise, torch_rng

CHANGES: dict[str, dict[str, object]] = {
    "vae": {
        "latent_dim": 5,
        "width": 16,
        "blocks": 0,
        "learning_rate": 0.1,
        "beta": 2.0,
        "warmup": 1.0,
        "likelihood": "logistic",
        "prior": "normal",
        "components": 2,
        "tokens.free_bits": 9.0,
        "tokens.context": 5,
        "tokens.word_dropout": 0.1,
        "tokens.temperature": 0.2,
    },
    "gan": {
        "latent_dim": 5,
        "width": 16,
        "blocks": 0,
        "learning_rate": 0.1,
        "critic_learning_rate": 0.1,
        "projection_steps": 3,
        "projection_starts": 3,
        "tokens.gradient_penalty": 2.0,
        "tokens.temperature": 0.2,
    },
}
CASES = [
    (family, data, base, field)
    for family in FAMILIES
    for data in ("toy", "words")
    for base in (({}, {"prior": "normal"}) if family == "vae" else ({},))
    for field in CHANGES[family]
    if field not in base
]


def outcome(data, name, settings):
    """Return all results of a family: losses, weights after a step and after finishing, samples, reconstructions."""
    family, x = data.family(name, **settings), data.x(24)
    found = []
    for player in family.players:
        chosen = family.optimiser(player)
        optimiser = torch.optim.Adam(family.get_submodule(player).parameters(), chosen.learning_rate, chosen.betas)
        losses = family.loss(player, batch(x), Noise(torch_rng(0, "noise")), progress=0.5)
        optimiser.zero_grad()
        losses.total.backward()
        optimiser.step()
        found += [losses.total.detach(), *losses.terms.values()]
    family.finish([x], torch_rng(0, "finish"))
    return [*found, *family.state_dict().values(), family.sample(8, 0), family.reconstruct(x[:4], torch_rng(0, "x"))]


def same(one, other):
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize(("name", "data", "base", "field"), CASES)
def test_a_param_of_a_family_changes_its_results_exactly_if_its_marks_say_that_it_applies(
    name, data, base, field, request
):
    toy = request.getfixturevalue(data)
    flat = {"family": name, "content": toy.content.name} | flatten({name: SETTINGS[name] | base})
    unchanged = same(outcome(toy, name, base), outcome(toy, name, base | {field: CHANGES[name][field]}))
    assert unchanged == (f"{name}.{field}" not in effective(flat))


def test_every_field_of_a_family_is_tried():
    assert {name: set(changes) for name, changes in CHANGES.items()} == {
        name: set(flatten(SETTINGS[name])) for name in FAMILIES
    }


def test_contents_of_tokens_are_those_that_the_marks_name(toy, words):
    built = {"text": words.content, "image": toy.content}
    assert {name for name, content in built.items() if content.spec.vocab_size} <= set(TOKENS) <= set(CONTENTS)
    assert [name for name, kind in CONTENTS.items() if "vocabulary" in kind.__init__.__annotations__] == list(TOKENS)


@pytest.mark.parametrize("vocabulary", ["bytes", "bpe"])
def test_the_size_of_a_vocabulary_applies_where_the_vocabulary_is_learnt(vocabulary, tmp_path):
    (tmp_path / "a.txt").write_text("".join(chr(97 + int(i)) for i in np.random.default_rng(0).integers(0, 26, 20_000)))
    one, other = (dict(TextContent(16, vocabulary, size, "text", 0).learn(whole(tmp_path))) for size in (260, 400))
    applied = effective({"content": "text", "text.vocabulary": vocabulary, "text.vocabulary_size": 260})
    assert (one == other) == ("text.vocabulary_size" not in applied)


class Watched:
    """Settings that record which of their fields are read."""

    def __init__(self, settings):
        self.settings, self.read = settings, set()

    def __getattr__(self, name):
        self.read.add(name)
        return getattr(self.settings, name)


@pytest.mark.parametrize("extractor", ["in_domain", "inception"])
def test_an_extractor_reads_the_params_that_are_marked_for_it_and_no_other(extractor, toy, colour, tmp_path):
    path = write(tmp_path / "random.pth") if extractor == "inception" else "unused"
    settings = FeaturesParams(
        extractor=extractor, epochs=1, width=8, dimensions=8, weights=str(path), precision="float32"
    )
    watched = Watched(settings)
    if extractor == "inception":
        extractors.make(SimpleNamespace(spec=colour.spec, content=colour.content), watched, 0)
    else:
        in_domain.fit(toy.items(64), None, 0, toy.spec, watched, seed=0)
    applied = effective(flatten({"features": settings}))
    assert watched.read | {"extractor"} == {name.removeprefix("features.") for name in applied}


def test_a_model_shows_the_params_that_apply_and_its_description_keeps_all(toy, words, tmp_path):
    images, texts = (set(data.about("vae").effective) for data in (toy, words))
    assert {name for name in images if name.startswith("vae.tokens.")} == set()
    assert "vae.tokens.context" in texts
    assert {"vae.likelihood", "text.vocabulary_size"} & texts == set()
    assert {"vae.likelihood", "vae.components", "image.side"} <= images
    (tmp_path / "weights.safetensors").touch()
    toy.about("vae").write(tmp_path)
    assert SavedModel.read(tmp_path).settings["tokens"]["context"] == 3


def test_params_that_a_tracking_store_holds_as_text_are_distinguished_as_well():
    params = {
        "content": "image",
        "vae.tokens.context": "8",
        "vae.prior": "normal",
        "vae.components": "2",
        "vae.beta": "1.0",
    }
    assert effective(params) == {"content": "image", "vae.prior": "normal", "vae.beta": "1.0"}


def test_sections_that_were_not_chosen_do_not_apply():
    assert effective({"family": "vae", "gan.width": 8, "content": "text", "image.side": 28}) == {
        "family": "vae",
        "content": "text",
    }
