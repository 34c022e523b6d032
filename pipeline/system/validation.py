"""Turn pydantic's errors about a file into one line for the user."""

from __future__ import annotations

import reprlib
from typing import Any

from pydantic import BaseModel, ValidationError

RENAMED = {
    "image.size": "image.side",
    "features.size": "features.dimensions",
    "text.size": "text.vocabulary_size",
    "code.size": "code.vocabulary_size",
    "vae.context": "vae.tokens.context",
    "vae.hidden": "vae.tokens.word_dropout",
    "vae.free_bits": "vae.tokens.free_bits",
    "vae.temperature": "vae.tokens.temperature",
    "gan.penalty": "gan.tokens.gradient_penalty",
    "gan.temperature": "gan.tokens.temperature",
}
"""Parameters' names in earlier versions, and their names now."""

NAMED = 10
"""Problems of a file that a message names."""
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 80


def line(error: ValidationError, schema: type[BaseModel]) -> str:
    """Return the problems of a file: the first `NAMED`, and the number of the others."""
    problems = error.errors()
    more = f"; and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    return "; ".join(say(each, schema) for each in problems[:NAMED]) + more


def say(problem: Any, schema: type[BaseModel]) -> str:
    """Return one of pydantic's errors about a file of a schema as `path is value: what is allowed`."""
    path = ".".join(str(name)[:80] for name in problem["loc"]) or "the file"
    if problem["type"] == "missing":
        return f"{path} is missing"
    if path in RENAMED and problem["type"] == "extra_forbidden":
        return f"{path} is called {RENAMED[path]} now; rename it"
    if problem["type"] == "extra_forbidden":
        return f"{path} is unknown; allowed here: {', '.join(_siblings(problem['loc'], schema))}"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if problem["type"] == "value_error" and not problem["loc"]:
        return str(message)
    return f"{path} is {_SHORT.repr(problem['input'])}: {message}"


def _siblings(loc: tuple[str | int, ...], schema: type[BaseModel]) -> list[str]:
    section: Any = schema
    for name in loc[:-1]:
        section = next(f.annotation for n, f in section.model_fields.items() if name in (n, f.alias))
    return sorted(field.alias or name for name, field in section.model_fields.items())
