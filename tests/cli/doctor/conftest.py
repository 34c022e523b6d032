import shutil

import pytest
from clone import Clone


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    one = Clone(tmp_path_factory.mktemp("dvc") / "first")
    one.begin()
    return one


@pytest.fixture
def clone(first, tmp_path):
    made = Clone(tmp_path / "clone")
    shutil.copytree(first.root, made.root)
    yield made
    for process in made.processes():
        process.kill()
