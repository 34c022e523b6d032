import time

import pytest
from mlflow import MlflowClient

from pipeline.registry.leaderboard import Row, marked, rows, table

NAME, FID = "clothes", "fid_in_domain"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A registry of versions with these scores, of which the third is the champion."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('registry') / 'mlflow.db'}"
    client = MlflowClient(uri, uri)
    client.create_registered_model(NAME)
    for protocol, scores in (
        ("old", {FID: 9.0}),
        ("new", {FID: 20.0}),
        ("new", {FID: 12.0, "ssim": 0.5}),
        ("new", {}),
        ("new", {"ssim": 0.7}),
        ("new", {"ssim": 0.9}),
        ("old", {FID: 8.0}),
        ("new", {FID: 15.0}),
    ):
        ends = {"": 0.0, "_low": -0.1, "_high": 0.1}
        tags = {f"{name}{end}": str(value + more) for name, value in scores.items() for end, more in ends.items()}
        client.create_model_version(NAME, "somewhere", None, tags=tags | {"protocol_digest": protocol, "family": "vae"})
    client.set_registered_model_alias(NAME, "champion", "3")
    return client


def row(value, **changed):
    first = {
        "name": NAME,
        "version": "1",
        "score": FID,
        "value": value,
        "low": value - 1,
        "high": value + 1,
    }
    rest = {"family": "vae", "protocol": "p" * 64, "aliases": (), "registered": time.time(), "experiment": ""}
    return Row(**first | rest | changed)


@pytest.fixture
def of_fid(client):
    return rows(client, NAME, [FID, "ssim"])


def test_lower_is_first_where_less_is_better_and_higher_where_it_is_not(of_fid):
    assert [each.version for each in of_fid if each.protocol == "new" and each.score == FID] == [
        "3",
        "8",
        "2",
    ]
    assert [each.version for each in of_fid if each.score == "ssim"] == ["6", "5"]


def test_protocols_are_kept_apart_and_the_one_of_the_newest_version_is_first(of_fid):
    assert [each.protocol for each in of_fid] == ["new"] * 5 + ["old"] * 2
    assert [each.version for each in of_fid if each.protocol == "old"] == ["7", "1"]


def test_a_version_stands_by_the_first_score_that_decides_and_without_one_it_is_left_out(client):
    assert {each.version: each.score for each in rows(client, NAME, ["ssim", FID])}["3"] == "ssim"
    assert "4" not in {each.version for each in rows(client, NAME, [FID, "ssim"])}
    assert rows(client, NAME, ["unheard_of"]) == []


def test_aliases_stand_at_their_versions(of_fid):
    assert {each.version: each.aliases for each in of_fid if each.aliases} == {"3": ("champion",)}


def test_versions_with_disjoint_intervals_are_distinguished_without_their_evidence(client):
    found = marked(client, [row(1.0), row(5.0, version="2")])
    assert [each.undecided for each in found] == [False, False]


def test_table_shows_the_interval_the_alias_and_the_mark(of_fid):
    lines = table([row(12.345, aliases=("champion",)), row(13.0, version="2", undecided=True)]).splitlines()
    assert lines[0] == "clothes, by fid_in_domain"
    assert "12.35" in lines[2]
    assert "11.3 to 13.3" in lines[2]
    assert "champion" in lines[2]
    assert lines[3].startswith("*")
    assert lines[-1] == "* cannot be distinguished from the best of its protocol, item by item"
    assert "" in table(of_fid).splitlines(), "no empty line between two protocols"


def test_empty_table_names_the_param_that_names_scores():
    assert "gate.decides" in table([])


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (86_400 * 40, "40 d")]
)
def test_age_is_in_the_largest_unit_that_fits(seconds, shown):
    assert row(1.0, registered=time.time() - seconds - 0.2).cells[7] == shown
