"""Which params play a part: those that the chosen content, family and extractor read, as the sections mark them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from pipeline.params import Params
from pipeline.params.sections import Section, Where


def effective(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat params without those that play no part; values may be texts, as MLflow has them.

    What a marked field depends on counts as it should be where it is not among them.
    """
    found = dict(params)
    for name, marks in _marked(Params, ""):
        if name in found and not all(_holds(mark, name, params) for mark in marks):
            del found[name]
    return found


def _holds(mark: Where, name: str, params: Mapping[str, Any]) -> bool:
    """Say whether a mark's field has such a value: the one beside `name`, or the one at the top."""
    for path in (f"{name.rpartition('.')[0]}.{mark.field}", mark.field):
        if path in params:
            return (str(params[path]) in mark.values) == mark.among
    return True


def _marked(section: type[Section], prefix: str, above: tuple[Where, ...] = ()) -> Iterator[tuple[str, list[Where]]]:
    """Yield the path of each field that is no section, and the marks of it and of the sections that it is in."""
    for key, field in section.model_fields.items():
        name, marks = f"{prefix}{field.alias or key}", (*above, *_marks(field))
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _marked(kind, f"{name}.", marks)
        else:
            yield name, list(marks)


def _marks(field: FieldInfo) -> Iterator[Where]:
    return (each for each in field.metadata if isinstance(each, Where))
