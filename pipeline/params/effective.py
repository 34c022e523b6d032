"""Select the params that apply: those that the chosen content, family and extractor read, as `Where` marks them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from pipeline.params import Params
from pipeline.params.sections import Section, Where


def effective(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat params without those that do not apply; values may be strings, as in MLflow.

    A mark's condition counts as met if `params` do not have its field.
    """
    found = dict(params)
    for name, marks in _marked(Params, ""):
        if name in found and not all(_holds(mark, name, params) for mark in marks):
            del found[name]
    return found


def _holds(mark: Where, name: str, params: Mapping[str, Any]) -> bool:
    """Return whether a mark's condition is met, by its field beside `name` or else at the top level."""
    for path in (f"{name.rpartition('.')[0]}.{mark.field}", mark.field):
        if path in params:
            return (str(params[path]) in mark.values) == mark.among
    return True


def _marked(section: type[Section], prefix: str, above: tuple[Where, ...] = ()) -> Iterator[tuple[str, list[Where]]]:
    """Yield the path of each field that is not a section, with its marks and those of its enclosing sections."""
    for key, field in section.model_fields.items():
        name, marks = f"{prefix}{field.alias or key}", (*above, *_marks(field))
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _marked(kind, f"{name}.", marks)
        else:
            yield name, list(marks)


def _marks(field: FieldInfo) -> Iterator[Where]:
    return (each for each in field.metadata if isinstance(each, Where))
