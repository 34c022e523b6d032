import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.registry import card
from pipeline.registry.card import MEANINGS, Subject
from pipeline.training.record import RunRecord

DATA = {
    "source": "mine",
    "title": "My pictures",
    "homepage": None,
    "licence": None,
    "counts": {"train": 1000, "val": 10, "test": 20},
    "rejected": 1,
    "duplicates": 2,
    "classes": ["a", "b"],
    "digest": "d" * 64,
}
ENVIRONMENT = {
    "python": "3.12.1",
    "torch": "2.9.0",
    "cpu": "a processor",
    "accelerator": "cpu",
    "threads": 2,
    "runtime": {"devices": 1},
}
MEMORISATION = {"memorisation": 0.1, "memorisation_low": -0.1, "memorisation_high": 0.3}


@pytest.fixture
def subject(toy):
    model = toy.about("vae")
    model = dataclasses.replace(model, params={**model.params, "train": {"epochs": 3, "batch_size": 300}})
    tags = {"git.commit": "c" * 40, "data_digest": "d" * 64, "fid_in_domain": "1", "evaluated": "2026-01-01"}
    committed = {"vae.latent_dim": 99, "vae.width": 8}
    record = RunRecord("abc", "mine", "f", began=0.0, ended=90.0)
    return Subject("clothes", model, DATA, MEMORISATION, record, ENVIRONMENT, committed, tags, "samples.png")


names = st.sampled_from([*MEANINGS, "density", "active_units"])
metrics = st.dictionaries(names, st.tuples(st.floats(-1e6, 1e6), st.booleans()))


@given(found=metrics)
def test_every_score_that_a_card_names_has_its_interval(found):
    scores = dict(MEMORISATION)
    for name, (value, known) in found.items():
        scores[name] = value
        if known:
            scores |= {f"{name}_low": value - 1, f"{name}_high": value + 1}
    table = card._scores(scores)
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table.splitlines()[2:]}
    assert set(rows) == {name for name in MEANINGS if f"{name}_low" in scores}
    for name, row in rows.items():
        assert f"| {scores[name]:.4g} | {scores[f'{name}_low']:.4g} to {scores[f'{name}_high']:.4g} |" in row


def test_a_card_states_what_is_unknown_about_the_data(subject):
    text = card.text(subject, {})
    assert "| licence | unknown" in text
    assert "| items | 1000 train, 10 val, 20 test |" in text


def test_a_card_shows_which_params_are_not_those_of_the_commit(subject):
    text = card.text(subject, {})
    assert "| vae.latent_dim | 4 | 99 |" in text
    assert "| vae.width | 8 |  |" in text
    assert "12 steps of 300 items (epochs: 3)" in text
    assert "ended 90 seconds later" in text


@pytest.mark.parametrize(("low", "word"), [(-0.1, "no sign of copying"), (0.05, "above 0: a sign of copying")])
def test_a_card_states_whether_there_is_a_sign_of_copying(subject, low, word):
    scores = MEMORISATION | {"memorisation_low": low}
    assert word in card.text(dataclasses.replace(subject, scores=scores), {})


def test_a_card_begins_with_the_pictures_that_it_is_given_and_ends_with_params(subject):
    text = card.text(subject, {"samples": "at/samples.png", "nearest": "nearest.png"})
    headings = re.findall(r"^(?:## .*|!\[.*)", text, re.MULTILINE)
    assert headings[:2] == ["![Samples](at/samples.png)", f"![{card.CAPTIONS['nearest']}](nearest.png)"]
    assert headings[-1] == "## Params"


@pytest.mark.parametrize("out", ["samples.png", "samples"])
def test_the_command_on_a_card_writes_samples_to_the_default_path_of_its_content(subject, out):
    assert f"-n 64 --seed 0 --out {out}\n" in card.text(dataclasses.replace(subject, out=out), {})


def test_a_card_traces_the_version_and_repeats_no_score_there(subject):
    _, _, traced = card.text(subject, {}).partition("## Lineage")
    assert f"| git.commit | {'c' * 40} |" in traced
    assert f"| data_digest | {'d' * 64} |" in traced
    assert "fid_in_domain" not in traced


def test_a_bar_in_a_name_does_not_break_a_table(subject):
    text = card.text(dataclasses.replace(subject, data=DATA | {"licence": "a|b"}), {})
    assert "| licence | a\\|b |" in text
