"""The packages that the project requires, and their pinned versions."""

import re
import tomllib

from packaging.requirements import Requirement
from stages import ROOT


def requirements():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(each) for group in groups for each in group]


def pinned():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return [line for line in lines if line]


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_is_pinned_within_its_range():
    versions = {normal(name): version for name, _, version in (line.partition("==") for line in pinned())}
    for each in requirements():
        assert normal(each.name) in versions, f"constraints.txt does not pin {each.name}"
        assert each.specifier.contains(versions[normal(each.name)], prereleases=True), each


def test_constraints_name_versions_and_no_index_or_host():
    odd = [line for line in pinned() if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+( *;.*)?", line)]
    assert odd == []
    assert not re.search(r"://|--|@", (ROOT / "constraints.txt").read_text())
