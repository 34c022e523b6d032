"""YAML that a person or git holds, read within bounds: whatever the text is, its values or one reason why not."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import yaml

MOST = 1 << 20
"""Bytes of a file."""
DEEPEST = 32
"""Mappings and lists within each other."""
ALIASES = 16
"""References to anchors: even of nested ones so few cannot grow beyond a few hundred times the file."""


class _Loader(yaml.SafeLoader):
    """Plain values as YAML 1.2 has them, which is how DVC reads the same file; no dates, no sexagesimal numbers."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - as in the base class


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(node.value).lower()
    return int(text, 0) if "x" in text or "o" in text else int(text)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    # one that no field can hold is a text, since Python refuses to convert thousands of digits
    ("int", r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), [*_first.replace("\0", ""), ""]
    )


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    """Return a mapping; of a key that is there twice, one value would go without a word."""
    keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<")
    for key, count in keys.most_common(1):
        if count > 1:
            raise ValueError(f"{key[:80]} is there {count} times")
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def parse(data: bytes) -> Any:
    """Return the values of a document.

    Raises:
        ValueError: it is none, has tags, or is larger, deeper or refers to itself more often than what is read.
    """
    if len(data) > MOST:
        raise ValueError(f"it has {len(data)} bytes, and at most {MOST} are read")
    try:
        text = data.decode()
        _check(text)
        return yaml.load(text, _Loader)  # noqa: S506 - it is a safe one
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check(text: str) -> None:
    """Look at the events of a document one by one, before anything is built of them."""
    open_: list[str | None] = []
    aliases = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            if aliases > ALIASES:
                raise ValueError(f"it has more than {ALIASES} references to anchors, as in *{event.anchor}")
            if event.anchor in open_:
                raise ValueError(f"*{event.anchor} refers to what it is a part of")
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag not in (None, "!"):
            raise ValueError(f"it has the tag {event.tag}; write plain values, without tags")
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(event.anchor)
            if len(open_) > DEEPEST:
                raise ValueError(f"it is nested more than {DEEPEST} deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
