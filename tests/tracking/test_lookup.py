"""Lookup of registered versions and their scores in real stores."""

import pytest

from pipeline import tracking
from pipeline.tracking import Scored

NAME = "some model"
SCORES = {"fid": 2.0, "fid_low": 1.5, "fid_high": 2.5}
URI = f"models:/{NAME}@champion"


@pytest.fixture
def version(place):
    """A version without an alias, of a run that was evaluated."""
    tracking.connect()
    with place.resume("0" * 32) as run:
        run.scores(SCORES)
        run.tags({"protocol.digest": "p"})
    client, run_id = place.client, run.id
    client.create_registered_model(NAME)
    return client.create_model_version(NAME, place.main.as_uri(), run_id, tags={"model_digest": "m"}).version


def test_the_scores_of_a_champion_are_those_of_its_run(place, version):
    place.client.set_registered_model_alias(NAME, "champion", version)
    assert tracking.scored(place.client, URI) == Scored(NAME, str(version), "m", "p", SCORES)


def test_no_model_and_no_champion_give_none_without_a_warning(place, version, capsys):
    assert tracking.scored(place.client, URI) is None
    assert tracking.scored(place.client, "models:/nothing@champion") is None
    assert capsys.readouterr().err == ""


def test_an_unavailable_store_is_a_warning_and_no_error(place, version, capsys):
    place.client.set_registered_model_alias(NAME, "champion", version)
    with place.unavailable():
        assert tracking.scored(place.client, URI) is None
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert warning.startswith(f"warning: {URI} cannot be looked up")
