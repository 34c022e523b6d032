"""The pages in Markdown: links lead somewhere, docs/index.md leads to every page, and the README stays short."""

import os
import re
import subprocess
from collections import Counter
from pathlib import PurePosixPath

import pytest
from stages import ROOT

INDEX = "docs/index.md"
README_LINES = 110
FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1`*\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(
    r"""\]\( \s* <?([^)\s>]+)>? (?:\s+"[^"]*")? \s* \)  # [text](target "title"), also of pictures
    | ^[ ]{0,3}\[[^\]]+\]: [ ]+ <?([^\s>]+)>?           # [name]: target
    | <(?:a|img)\b[^>]*?\b(?:href|src)="([^"]+)"        # HTML""",
    re.MULTILINE | re.VERBOSE,
)
HEADING = re.compile(r"^ {0,3}#{1,6} +(.+?)(?: +#+)? *$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def repository():
    """Return the files of the repository: those that git knows, and new ones that it does not ignore."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return {path for path in listed if (ROOT / path).is_file()}


FILES = repository()
PAGES = {path: (ROOT / path).read_text(encoding="utf-8") for path in sorted(FILES) if path.endswith(".md")}


def links(text):
    """Return the targets of the links of a page that lead to files of the repository."""
    prose = CODE.sub("", FENCE.sub("", text))
    targets = [found[1] or found[2] or found[3] for found in LINK.finditer(prose)]
    return [target for target in targets if not ELSEWHERE.match(target)]


def anchors(text):
    """Return the anchors that GitHub gives the headings of a page."""
    found, seen = set(), Counter()
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def target(page, link):
    """Return the path in the repository that a link of a page leads to, and its anchor."""
    path, _, anchor = link.partition("#")
    return (os.path.normpath(PurePosixPath(page).parent / path) if path else page), anchor


def broken(page, pages, files):
    """Return the links of a page that lead nowhere."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    found = []
    for link in links(pages[page]):
        path, anchor = target(page, link)
        if path not in files | folders or (anchor and anchor not in anchors(pages.get(path, ""))):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page):
    assert broken(page, PAGES, FILES) == []


def test_every_page_is_reachable_from_the_index():
    reached, left = set(), [INDEX]
    while left:
        page = left.pop()
        if page in PAGES and page not in reached:
            reached.add(page)
            left += [target(page, link)[0] for link in links(PAGES[page])]
    assert {page for page in PAGES if page.startswith("docs/")} - reached == set()


def test_the_site_shows_the_pages_that_the_index_links_to():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    shown = re.findall(r"([\w./-]+\.md)$", nav, re.MULTILINE)
    listed = {target(INDEX, link)[0].removeprefix("docs/") for link in links(PAGES[INDEX]) if ".md" in link}
    assert sorted(shown) == sorted(listed | {"index.md"})


def test_the_readme_is_short_up_to_its_results():
    lines = PAGES["README.md"].partition("\n## Results")[0].splitlines()
    assert len(lines) <= README_LINES
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[a](b.md) ![c](d.png) [e](b.md#two-words)", []),
        ("[a](missing.md)", ["missing.md"]),
        ("![a](missing.png)", ["missing.png"]),
        ('<img src="missing.png">', ["missing.png"]),
        ("[a]: missing.md", ["missing.md"]),
        ("[a](B.md)", ["B.md"]),
        ("[a](../docs/b.md)", []),
        ("[a](../../b.md) [b](/docs/b.md)", ["../../b.md", "/docs/b.md"]),
        ("[a](b.md#one)", ["b.md#one"]),
        ("# Here\n[a](#here) [b](#there)", ["#there"]),
        ("[a](b.md#same) [b](b.md#same-1) [c](b.md#same-2)", ["b.md#same-2"]),
        ("[a](b.md#its-code-a--b)", []),
        ("[a](b.md#no-heading)", ["b.md#no-heading"]),
        ("`[a](missing.md)`\n```\n[a](missing.md)\n```\n[b](https://example.org)", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text, found):
    other = "## Two words\n## Same\n## Same\n## Its `code`: a & b\n```\n# no heading\n```\n"
    pages = {"docs/a.md": text, "docs/b.md": other}
    assert broken("docs/a.md", pages, {*pages, "docs/d.png"}) == found


def test_the_diff_of_the_worked_example_applies():
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", (ROOT / "docs/adding-a-content.md").read_text(), re.M | re.S)
    words = ["git", "apply", "--check", "-C1", "-"]
    done = subprocess.run(words, cwd=ROOT, input=diff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
