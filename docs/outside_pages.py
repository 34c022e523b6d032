"""A hook of MkDocs: takes the pages outside docs/ that its pages link to, such as CHANGELOG.md, into the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
OUT_OF_DOCS = re.compile(r"(?<=\]\()\.\./(?=([\w./-]+\.md)[)#])")
INTO_DOCS = re.compile(r"(?<=\]\()((?:\.\./)*)docs/")


def on_files(files: Any, config: Any) -> Any:
    """Add each page at its path in the repository."""
    linked = {found[1] for page in files.documentation_pages() for found in OUT_OF_DOCS.finditer(page.content_string)}
    for path in sorted(each for each in linked if (ROOT / each).is_file()):
        content = INTO_DOCS.sub(r"\1", (ROOT / path).read_text(encoding="utf-8"))
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links out of docs/ lead to those pages."""
    return OUT_OF_DOCS.sub("", markdown)
