"""Pages of HTML in one file: no script, nothing fetched, in the reader's own light or dark, on any width of screen."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; white-space: nowrap; }
.wide { overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; }
img { max-width: 100%; height: auto; image-rendering: pixelated; }
.better { color: light-dark(#176c2f, #6fdc8c); } .worse { color: light-dark(#b3261e, #ff8a80); }
"""


def page(title: str, *parts: str) -> str:
    """Return a page with a title above its parts, which are HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    """Return a heading of a part."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a cell that says better or worse has that one's colour."""

    def row(cells: Sequence[str], tag: str) -> str:
        classes = [f' class="{cell}"' if cell in ("better", "worse") else "" for cell in cells]
        return "<tr>" + "".join(f"<{tag}{c}>{escape(t)}</{tag}>" for t, c in zip(cells, classes, strict=True)) + "</tr>"

    body = "\n".join(row(cells, "td") for cells in rows)
    return f'<div class="wide"><table>\n{row(head, "th")}\n{body}\n</table></div>'


def pictures(captions: Iterable[tuple[str, Path]]) -> str:
    """Return pictures (PNG) side by side where there is room, each under its caption."""
    figures = []
    for caption, path in captions:
        data = base64.b64encode(path.read_bytes()).decode()
        text = escape(caption)
        figures.append(
            f'<figure><figcaption>{text}</figcaption><img alt="{text}" src="data:image/png;base64,{data}"></figure>'
        )
    return '<div class="pair">\n' + "\n".join(figures) + "\n</div>"
