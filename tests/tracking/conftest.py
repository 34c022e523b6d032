"""A place with a real MLflow store on SQLite, a new one for each test."""

import shutil

import pytest
from places import Place

from pipeline import tracking


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The file of an empty store, made once since that takes a while."""
    place = Place(tmp_path_factory.mktemp("template"))
    with pytest.MonkeyPatch.context() as patch:
        place.enter(patch)
        tracking.connect()
    return place.database


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    found = Place(tmp_path)
    shutil.copy(template, found.database)
    found.enter(monkeypatch)
    return found


@pytest.fixture
def fresh(place):
    """A place whose store does not exist yet."""
    place.database.unlink()
    return place
