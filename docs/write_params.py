"""Writes docs/params.md from the fields in pipeline/params/schema.py; with --check, says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pipeline.params import Params
from pipeline.params.sections import Where

PAGE = Path(__file__).with_name("params.md")
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of", "min_length": "not empty"}
HEAD = """# Parameters

Every field of `params.yaml`, in its order. Those that name no default are required, others are refused. Change one with
`dvc exp run -S vae.latent_dim=32`, or edit the file. Numbers may be written `3.0e-3`.

| field | values | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return HEAD + "".join(rows(Params, ""))


def rows(section: type[BaseModel], prefix: str, above: tuple[Any, ...] = ()) -> list[str]:
    """Return the rows of a section's fields, and of the sections inside it; `above` marks a section within another."""
    found = []
    for key, field in section.model_fields.items():
        name = f"{prefix}{field.alias or key}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += rows(field.annotation, f"{name}.", tuple(field.metadata) if prefix else ())
        else:
            found.append(f"| `{name}` | {allowed(field)} | {meaning(field, above)} |\n")
    return found


def meaning(field: FieldInfo, above: tuple[Any, ...]) -> str:
    """Return what a field is, and where alone it is read."""
    text = " ".join((field.description or "").split())
    return " ".join([text, *(f"Read where {mark}." for mark in (*above, *field.metadata) if isinstance(mark, Where))])


def allowed(field: FieldInfo) -> str:
    """Return a field's type and bounds, for a person."""
    bounds = [said(limit) for limit in field.metadata]
    return ", ".join([kind(field.annotation), *(bound for bound in bounds if bound)])


def kind(annotation: Any) -> str:
    """Return a type, or the values of a choice."""
    if get_origin(annotation) in (list, dict):
        return f"{get_origin(annotation).__name__} of {', '.join(map(kind, get_args(annotation)))}"
    if get_origin(annotation) is None:
        return "null" if annotation is type(None) else annotation.__name__
    return " or ".join(
        kind(each) if isinstance(each, type) or get_origin(each) else f"`{each}`" for each in get_args(annotation)
    )


def said(limit: Any) -> str:
    """Return a bound."""
    for name, sign in BOUNDS.items():
        value = getattr(limit, name, None)
        if value is not None:
            return sign if name == "min_length" else f"{sign} {value:,}"
    return ""


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.exit("docs/params.md is out of date: run `make docs`")
