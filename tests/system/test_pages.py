import base64
import re
from html.parser import HTMLParser

from PIL import Image

from pipeline.system import pages


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.balanced, self.links = [], True, []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.balanced &= bool(self.open) and self.open.pop() == tag


def made(tmp_path):
    Image.new("RGB", (4, 4), "red").save(tmp_path / "one.png")
    return pages.page(
        "a <b> & c",
        pages.heading("Scores"),
        pages.paragraph("1 < 2 says `compare <a>`"),
        pages.table(("score", "verdict"), [("fid <x>", "better")]),
        pages.pictures([("A & B", tmp_path / "one.png")]),
    )


def test_a_page_is_whole_and_fetches_nothing(tmp_path):
    text = made(tmp_path)
    tags = Tags()
    tags.feed(text)
    assert tags.balanced
    assert tags.open == []
    assert all(link.startswith("data:image/png;base64,") for link in tags.links)
    assert "http" not in text
    assert "<script" not in text


def test_what_a_user_named_is_text_and_no_markup(tmp_path):
    text = made(tmp_path)
    for part in (
        "a &lt;b&gt; &amp; c",
        "1 &lt; 2",
        "<code>compare &lt;a&gt;</code>",
        "fid &lt;x&gt;",
        'alt="A &amp; B"',
    ):
        assert part in text


def test_a_picture_on_the_page_is_the_file(tmp_path):
    (data,) = re.findall(r"base64,([^\"]+)", made(tmp_path))
    assert base64.b64decode(data) == (tmp_path / "one.png").read_bytes()


def places(drawing):
    """Return the positions in a drawing, along its axis: low, value and high of each interval, and the ticks."""
    text = str(drawing)
    lines = [tuple(map(float, each)) for each in re.findall(r"<path d=\"M([\d.]+),[\d.]+H([\d.]+)\"", text)]
    dots = [float(each) for each in re.findall(r'cx="([\d.]+)"', text)]
    ticks = [float(each) for each in re.findall(r'class="tick" d="M([\d.]+)', text)]
    return [(low, dot, high) for (low, high), dot in zip(lines, dots, strict=True)], ticks


def test_intervals_are_drawn_in_their_order_on_one_axis():
    ((own, other), (tick,)) = places(pages.intervals((4.0, 3.0, 5.0), (7.0, 6.0, 8.0), 0.9))
    assert 0 <= tick < own[0] < own[1] < own[2] < other[0] < other[1] < other[2] <= pages.WIDTH


def test_an_interval_by_itself_is_drawn_from_zero_to_show_how_narrow_it_is():
    ((own,), ticks) = places(pages.intervals((100.0, 99.0, 101.0)))
    assert ticks == []
    assert own[2] - own[0] < 0.05 * pages.WIDTH
    ((own, _), _) = places(pages.intervals((100.0, 99.0, 101.0), (104.0, 103.0, 105.0)))
    assert own[2] - own[0] > 0.2 * pages.WIDTH


def test_a_verdict_is_coloured(tmp_path):
    assert '<td class="better"' in made(tmp_path)
