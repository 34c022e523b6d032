"""Self-contained pages of HTML: no scripts, no requests, light and dark mode, any screen width."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TypeAlias

STYLE = """
:root { color-scheme: light dark; --fine: light-dark(#555, #bbb); --rule: light-dark(#ddd, #444);
  --own: light-dark(#1d4ed8, #8ab4ff); --other: light-dark(#a21caf, #f0abfc); --tick: light-dark(#b45309, #fbbf24); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem;
  color: light-dark(#111, #eee); background: light-dark(#fff, #16181c); }
h2 { margin: 2rem 0 .5rem; font-size: 1.2rem; }
p, figcaption, th { color: var(--fine); }
p { margin: .3rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--rule); }
th { font-weight: normal; }
td:nth-child(2):last-child { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; }
p, figcaption { overflow-wrap: anywhere; }
figcaption { margin-bottom: .3rem; }
img { max-width: 100%; height: auto; }
svg { vertical-align: middle; }
.key span { margin-right: 1.2rem; white-space: nowrap; }
.own { fill: var(--own); stroke: var(--own); } .other { fill: var(--other); stroke: var(--other); }
.tick { fill: var(--tick); stroke: var(--tick); } path { stroke-width: 2; } rect { stroke: none; }
.line { fill: none; stroke: var(--own); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.curve { width: 100%; border-bottom: 1px solid var(--rule); }
.better { color: light-dark(#176c2f, #6fdc8c); } .worse { color: light-dark(#b3261e, #ff8a80); }
@media (max-width: 40rem) {
  tr { display: flex; flex-wrap: wrap; column-gap: 1rem; padding: .4rem 0; border-bottom: 1px solid var(--rule); }
  tr:has(th) { display: none; }
  td:empty { display: none; }
  td { border: 0; padding: 0; white-space: normal; overflow-wrap: anywhere; min-width: 0; }
  td:first-child { flex-basis: 100%; font-weight: 600; }
  td[data-head]::before { content: attr(data-head) " "; color: var(--fine); }
}
"""
WIDTH, HEIGHT = 200, 22
"""Size of a drawing within a table, in pixels."""
CURVE = 80
"""Height of a curve, in pixels."""
Span: TypeAlias = tuple[float, float, float]
"""A value, and the lower and upper bound of its interval."""


class Drawing(str):
    """SVG, which `table` inserts without escaping."""

    __slots__ = ()


def page(title: str, *parts: str) -> str:
    """Return a page: a title above its parts, which are HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    """Return the heading of a part."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Return a paragraph; text between backticks becomes code."""
    marked = re.sub("`(.+?)`", r"<code>\1</code>", escape(text))
    return f"<p>{marked}</p>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells `better` and `worse` are coloured.

    On a narrow screen a row becomes a block, and each cell shows the name of its column.
    """

    def cell(text: str, name: str) -> str:
        colour = f' class="{text}"' if text in ("better", "worse") else ""
        label = f' data-head="{escape(name)}"' if name else ""
        return f"<td{colour}{label}>{text if isinstance(text, Drawing) else escape(text)}</td>"

    # the first cell names its row, and needs no label
    names = ["", *head[1:]]
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = ["".join(map(cell, cells, names)) for cells in rows]
    lines = "\n".join(f"<tr>{each}</tr>" for each in [top, *body])
    return f'<div class="wide"><table>\n{lines}\n</table></div>'


def pictures(captions: Iterable[tuple[str, Path]]) -> str:
    """Return pictures (PNG) side by side if there is room, each under its caption."""
    blocks = []
    for caption, path in captions:
        data = base64.b64encode(path.read_bytes()).decode()
        text = escape(caption)
        blocks.append(
            f'<figure><figcaption>{text}</figcaption><img alt="{text}" src="data:image/png;base64,{data}"></figure>'
        )
    return grid(blocks)


def grid(blocks: Iterable[str]) -> str:
    """Return blocks of HTML side by side if there is room."""
    return '<div class="pair">\n' + "\n".join(blocks) + "\n</div>"


def key(kinds: Mapping[str, str]) -> str:
    """Return a legend: the meaning of each kind of mark (`own`, `other`, `tick`)."""
    marks = {kind: _svg(12, 12, f'<rect class="{kind}" width="12" height="12"/>') for kind in kinds}
    entries = "\n".join(f"<span>{marks[kind]} {escape(text)}</span>" for kind, text in kinds.items())
    return f'<p class="key">{entries}</p>'


def intervals(own: Span, other: Span | None = None, tick: float | None = None) -> Drawing:
    """Return a dot on its interval, with another interval below and a tick behind if given, on their own axis.

    The axis spans the drawn values. For an interval without another and a tick it includes zero, which shows how narrow
    the interval is.
    """
    spans = {"own": own} if other is None else {"own": own, "other": other}
    values = [each for span in spans.values() for each in span] + ([0.0] if tick is None and other is None else [])
    values += [] if tick is None else [tick]
    begin, end = min(values), max(values)

    def at(value: float) -> float:
        return 4 + (value - begin) / ((end - begin) or 1.0) * (WIDTH - 8)

    drawn = [] if tick is None else [f'<path class="tick" d="M{at(tick):.1f},0V{HEIGHT}"/>']
    for place, (kind, (value, low, high)) in enumerate(spans.items(), 1):
        y = HEIGHT * place / (len(spans) + 1)
        line = f'<path d="M{at(low):.1f},{y:.1f}H{at(high):.1f}"/>'
        drawn.append(f'<g class="{kind}">{line}<circle cx="{at(value):.1f}" cy="{y:.1f}" r="3"/></g>')
    return _svg(WIDTH, HEIGHT, "".join(drawn))


def bars(own: float, other: float) -> Drawing:
    """Return two bars, one under the other; their lengths are shares of the width."""
    height = HEIGHT / 2 - 2
    shares = enumerate((("own", own), ("other", other)))
    drawn = (
        f'<rect class="{kind}" y="{1 + row * HEIGHT / 2:.1f}" width="{share * WIDTH:.1f}" height="{height}"/>'
        for row, (kind, share) in shares
    )
    return _svg(WIDTH, HEIGHT, "".join(drawn))


def curve(name: str, values: Sequence[float]) -> str:
    """Return a line chart; the caption states its name, the first and the last value."""
    low, high = min(values), max(values)
    step = WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{2 + (high - value) / ((high - low) or 1.0) * (CURVE - 4):.1f}"
        for i, value in enumerate(values)
    )
    caption = escape(f"{name}: {values[0]:.4g} to {values[-1]:.4g}")
    drawn = _svg(WIDTH, CURVE, f'<polyline class="line" points="{points}"/>', "curve")
    return f"<figure><figcaption>{caption}</figcaption>{drawn}</figure>"


def _svg(width: int, height: int, content: str, kind: str = "") -> Drawing:
    """Return a drawing that screen readers skip: the text beside it states the same."""
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return Drawing(f'<svg class="{kind}" aria-hidden="true" {size}>{content}</svg>')
