"""params.yaml with changes, and the fields that it may have."""

from pathlib import Path

import pytest
import yaml

from pipeline.params import Params
from pipeline.params.sections import Section
from pipeline.system.errors import ParamsError

ROOT = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def fields(section=Params, prefix=""):
    """Yield the path, type and bounds of every field that is not a section."""
    for name, field in section.model_fields.items():
        path, kind = f"{prefix}{field.alias or name}", field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from fields(kind, f"{path}.")
        else:
            yield path, kind, field.metadata


NUMBERS = {path: (kind, bounds) for path, kind, bounds in fields() if kind in (int, float)}


def changed(path, value):
    """Return the shipped params with one of them changed."""
    *sections, last = path.split(".")
    tree = yaml.safe_load(yaml.safe_dump(SHIPPED))
    section = tree
    for name in sections:
        section = section[name]
    section[last] = value
    return tree


def load(folder, tree):
    (folder / "params.yaml").write_text(yaml.safe_dump(tree))
    return Params.load(folder)


def refused(folder, tree):
    with pytest.raises(ParamsError) as caught:
        load(folder, tree)
    assert "\n" not in str(caught.value)
    return str(caught.value)
