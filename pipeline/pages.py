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
svg { vertical-align: middle; }
.mark { fill: currentColor; } .span { stroke: currentColor; stroke-width: 2; } .tick { stroke: #c60; stroke-width: 2; }
.line { fill: none; stroke: #36c; stroke-width: 1.5; } .bar { fill: #36c9; }
.better { color: light-dark(#176c2f, #6fdc8c); } .worse { color: light-dark(#b3261e, #ff8a80); }
"""
WIDTH, HEIGHT = 200, 16
"""Of a drawing within a table, in pixels."""


class Drawing(str):
    """SVG, which a table shows as what it draws."""

    __slots__ = ()


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
        classes = [f' class="{cell}"' if tag == "td" and cell in ("better", "worse") else "" for cell in cells]
        return "<tr>" + "".join(f"<{tag}{c}>{_cell(t)}</{tag}>" for t, c in zip(cells, classes, strict=True)) + "</tr>"

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
    return grid(figures)


def grid(figures: Iterable[str]) -> str:
    """Return figures side by side where there is room."""
    return '<div class="pair">\n' + "\n".join(figures) + "\n</div>"


def interval(value: float, low: float, high: float, tick: float | None = None) -> Drawing:
    """Return a dot at a value on its interval, and a tick, on an axis that holds them and zero."""
    held = [value, low, high, 0.0, *([] if tick is None else [tick])]
    begin, end = min(held), max(held)
    value_at, low_at, high_at, *tick_at = (
        2 + (each - begin) / ((end - begin) or 1.0) * (WIDTH - 4) for each in (value, low, high, *held[4:])
    )
    middle = HEIGHT / 2
    ticks = "".join(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>' for x in tick_at)
    span = f'<line class="span" x1="{low_at:.1f}" x2="{high_at:.1f}" y1="{middle}" y2="{middle}"/>'
    return _svg(WIDTH, HEIGHT, f'{ticks}{span}<circle class="mark" cx="{value_at:.1f}" cy="{middle}" r="3"/>')


def bar(share: float) -> Drawing:
    """Return a bar of a share of the width."""
    return _svg(WIDTH // 2, HEIGHT, f'<rect class="bar" width="{share * WIDTH / 2:.1f}" height="{HEIGHT}"/>')


def curve(name: str, values: Sequence[float]) -> str:
    """Return a figure with the line of some values, which its caption names with the first and the last."""
    low, high = min(values), max(values)
    step = WIDTH / max(1, len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{2 + (high - value) / ((high - low) or 1.0) * 56:.1f}" for i, value in enumerate(values)
    )
    drawn = _svg(WIDTH, 60, f'<polyline class="line" points="{points}"/>')
    said = escape(f"{name}: {values[0]:.4g} to {values[-1]:.4g}")
    return f"<figure><figcaption>{said}</figcaption>{drawn}</figure>"


def _svg(width: int, height: int, content: str) -> Drawing:
    return Drawing(f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}">{content}</svg>')


def _cell(text: str) -> str:
    return text if isinstance(text, Drawing) else escape(text)
