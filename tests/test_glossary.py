"""The words of docs/architecture.md's glossary are used, and those that it refuses are not."""

import re
import subprocess

import pytest
from stages import ROOT

PAGE = "docs/architecture.md"
READ = (".md", ".py", ".toml", ".yaml", ".yml", "Makefile", ".ci/run")
FOREIGN = re.compile(r"^data/raw/.+/|^docs/pictures/")
"""Texts of other authors, which models learn from."""
ALLOWED = {
    "figure": re.compile(r"</?fig(ure|caption)\b|^figure \{|\.figure\(|\"figures\"\)"),
    "figures": re.compile(r"</?fig(ure|caption)\b|^figure \{|\.figure\(|\"figures\"\)"),
}
"""HTML's tag, matplotlib's function, and the name of a field in entries of earlier versions."""
CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Where a word begins within the name of a class."""


def refused():
    """Return the words in the last column of the glossary."""
    rows = (ROOT / PAGE).read_text().partition("## Glossary")[2].splitlines()
    cells = [row.strip("|").split("|")[-1] for row in rows if row.startswith("| ")][1:]
    return sorted(word.strip() for cell in cells for word in cell.split(",") if word.strip())


def uses(word, name, text):
    """Return where a text has a word, also as a part of a name."""
    found = re.compile(rf"(?<![a-z]){word}(?![a-z])", re.IGNORECASE)
    allowed = ALLOWED.get(word)
    return [
        f"{name}:{number}: {line.strip()}"
        for number, line in enumerate(text.splitlines(), 1)
        if found.search(CAPITAL.sub("_", allowed.sub("", line) if allowed else line))
    ]


@pytest.fixture(scope="module")
def texts():
    """Every file of the repository that we wrote, by name, without the glossary."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    names = [name for name in listed if name.endswith(READ) and (ROOT / name).is_file()]
    found = {name: (ROOT / name).read_text() for name in names if not FOREIGN.match(name) or name.endswith("README.md")}
    found[PAGE] = found[PAGE].partition("## Glossary")[0]
    found.pop("tests/test_glossary.py", None)
    return found


def test_the_glossary_refuses_the_words_that_were_used_for_other_things():
    assert {"artefact", "yardstick", "told", "rubbish", "anew", "dear", "figures", "discriminator"} <= set(refused())


@pytest.mark.parametrize("word", refused())
def test_nothing_uses_a_word_that_the_glossary_refuses(texts, word):
    assert [place for name, text in texts.items() for place in uses(word, name, text)] == []


@pytest.mark.parametrize("line", ["it was told so", "def figures_sent():", "ArtefactError", "A yardstick.", "TOLD = 1"])
def test_a_word_is_found_also_as_a_part_of_a_name(line):
    assert [word for word in refused() if uses(word, "file", line)]


def test_a_tag_of_html_is_no_figure():
    assert uses("figure", "page", "<figure><figcaption>a</figcaption></figure>") == []
