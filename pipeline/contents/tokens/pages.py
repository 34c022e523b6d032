"""Texts and source code for display: as a picture, and as HTML fragments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.system.pages import grid

if TYPE_CHECKING:
    from PIL.Image import Image

COLUMNS, WIDTH, LINES = 4, 46, 14
"""Limits of a picture: columns, characters per line, and lines per item."""
SIZE, LINE, GAP = 13, 17, 10
"""Pixels of a picture: the font size, the height of a line, and the gap between items."""
STYLE = """<style>
.item { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 .5rem; padding: .6rem .8rem; border-radius: .4rem;
  font: .85rem/1.45 ui-monospace, monospace; tab-size: 4;
  color: light-dark(#1f2328, #e6edf3); background: light-dark(#f6f8fa, #22262c); }
.item .keyword { color: light-dark(#cf222e, #ff7b72); } .item .string { color: light-dark(#0a3069, #a5d6ff); }
.item .comment { color: light-dark(#57606a, #9aa4ae); } .item .number { color: light-dark(#0550ae, #79c0ff); }
.item .name { color: light-dark(#6639ba, #d2a8ff); } .item .error { text-decoration: underline wavy; }
.item mark { color: inherit; background: light-dark(#ffd8a8, #7a4100); }
.item .gone { text-decoration: line-through; }
</style>"""


def picture(texts: Sequence[str], columns: int, captions: Sequence[str]) -> Image:
    """Draw texts row by row, each in a box 46 characters wide; texts that are too long end in "…"."""
    from PIL import Image, ImageDraw

    columns = max(1, min(columns, COLUMNS, len(texts) or 1))
    cells = [_wrapped(text) for text in texts]
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    named = LINE if captions else 0
    heights = [max(map(len, row)) * LINE + GAP + named for row in rows]
    font = _font()
    side = int(font.getlength("m" * WIDTH)) + 2 * GAP
    page = Image.new("RGB", (columns * (side + GAP) + GAP, sum(heights) + GAP * (len(rows) + 1)), "white")
    draw = ImageDraw.Draw(page)
    names = iter(captions)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, lines in enumerate(row):
            left = GAP + column * (side + GAP)
            draw.rectangle((left, top, left + side, top + height - named), fill="#f3f4f6")
            for number, line in enumerate(lines):
                draw.text((left + GAP, top + GAP // 2 + number * LINE), line, fill="#1f2328", font=font)
            if captions:
                name = next(names, "")[:WIDTH]
                draw.text((left, top + height - named), name, fill="#57606a", font=font)
        top += height + GAP
    return page


def blocks(marked_up: Sequence[str]) -> str:
    """Return texts, already HTML, as blocks that stand side by side where there is room.

    Browsers drop a line end right after `<pre>`; the one added there preserves a line end that begins a text.
    """
    return STYLE + grid(f'<pre class="item">\n{text}</pre>' for text in marked_up)


def compared(texts: Sequence[str], others: Sequence[str]) -> str:
    """Return each text beside its counterpart, with differences marked, and in the first struck out."""
    return STYLE + "\n".join(blocks_of(*pair) for pair in zip(texts, others, strict=True))


def blocks_of(text: str, other: str) -> str:
    """Return two texts beside each other, with differences marked in both."""
    first, second = [], []
    for kind, a, b, c, d in SequenceMatcher(None, text, other, autojunk=False).get_opcodes():
        same = kind == "equal"
        first.append(escaped(text[a:b]) if same or a == b else f'<mark class="gone">{escaped(text[a:b])}</mark>')
        second.append(escaped(other[c:d]) if same or c == d else f"<mark>{escaped(other[c:d])}</mark>")
    return grid(f'<pre class="item">\n{"".join(each)}</pre>' for each in (first, second))


def escaped(text: str) -> str:
    """Escape a text for HTML; unprintable characters become U+FFFD."""
    return escape(_seen(text))


def highlighted(source: str) -> str:
    """Return Python source as HTML, with a CSS class for each kind of token."""
    from pygments.lexers import PythonLexer
    from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

    classes = {
        Operator.Word: "keyword",
        Keyword: "keyword",
        Comment: "comment",
        String: "string",
        Number: "number",
        Name.Function: "name",
        Name.Class: "name",
        Name.Decorator: "name",
        Error: "error",
    }

    def marked(kind: Any, text: str) -> str:
        found = next((name for each, name in classes.items() if kind in each), "")
        return f'<span class="{found}">{escaped(text)}</span>' if found else escaped(text)

    lexer = PythonLexer(stripnl=False, ensurenl=False)
    return "".join(marked(kind, text) for kind, text in lexer.get_tokens(_seen(source)))


def _seen(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def _wrapped(text: str) -> list[str]:
    """Return the lines of a text as a picture shows them, wrapped and cut."""
    lines = [part for line in _seen(text).expandtabs(4).split("\n") for part in _parts(line)]
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"]


def _parts(line: str) -> Iterator[str]:
    """Break a line into parts, after a blank where the second half of a part has one."""
    while len(line) > WIDTH:
        blank = line.rfind(" ", WIDTH // 2, WIDTH)
        end = WIDTH if blank < 0 else blank + 1
        yield line[:end]
        line = line[end:]
    yield line


@cache
def _font() -> Any:
    """Return the monospaced font that comes with Matplotlib, or without Matplotlib Pillow's own font."""
    from PIL import ImageFont

    found = find_spec("matplotlib")
    path = Path(found.origin or "").parent / "mpl-data/fonts/ttf/DejaVuSansMono.ttf" if found else None
    return ImageFont.truetype(path, SIZE) if path and path.is_file() else ImageFont.load_default(SIZE)
