"""Parse YAML that a person or git wrote, within bounds: any text gives its values, or one reason why not."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

MAX_BYTES = 1 << 20
"""Maximum size of a file, in bytes."""
MAX_DEPTH = 32
"""Maximum depth of nested mappings and lists."""
MAX_ALIASES = 16
"""Maximum number of references to anchors: even nested, so few expand a file at most a few hundred times."""


class _Loader(yaml.SafeLoader):
    """Reads plain values by YAML 1.2, as DVC reads the same file: no dates, no sexagesimal numbers."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as in the base class


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(node.value).lower()
    return int(text, 0) if "x" in text or "o" in text else int(text)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    # a longer one, which no field can hold, stays a string: Python refuses to convert thousands of digits
    ("int", r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first.replace("\0", ""), ""]
    )


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Return a mapping; refuse a repeated key, of which PyYAML would silently drop a value."""
    keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<")
    for key, count in keys.most_common(1):
        if count > 1:
            raise ValueError(f"{key[:80]} appears {count} times")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse(data: bytes) -> Any:
    """Return the values of a document.

    Raises:
        ValueError: the data are not YAML, have tags or repeated keys, or exceed a bound of size, depth or references.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"it has {len(data)} bytes, more than the {MAX_BYTES} that are allowed")
    try:
        text = data.decode()
        _check(text)
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check(text: str) -> None:
    """Check the events of a document one by one, before any value is built from them."""
    open_: list[str | None] = []
    aliases = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > MAX_ALIASES:
                raise ValueError(f"it has more than {MAX_ALIASES} references to anchors, as in *{event.anchor}")
            if event.anchor in open_:
                raise ValueError(f"*{event.anchor} refers to a node that contains it")
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag not in (None, "!"):
            raise ValueError(f"it has the tag {event.tag}; write plain values, without tags")
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(event.anchor)
            if len(open_) > MAX_DEPTH:
                raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
