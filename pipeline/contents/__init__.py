"""Registry of contents, the kinds of data; each also has a section in params.yaml and a class in sections.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.contents.audio.content import AudioContent
from pipeline.contents.base import Content
from pipeline.contents.code.content import CodeContent
from pipeline.contents.image.content import ImageContent
from pipeline.contents.text.content import TextContent

CONTENTS: dict[str, Callable[..., Content]] = {
    "image": ImageContent,
    "audio": AudioContent,
    "text": TextContent,
    "code": CodeContent,
}


def build(name: str, settings: Mapping[str, Any], learnt: Mapping[str, Any]) -> Content:
    """Build a content by name, from its section of params.yaml and what it learnt of a source."""
    return CONTENTS[name](**settings, **learnt)
