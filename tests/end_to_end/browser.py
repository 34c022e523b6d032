"""A real browser without access to the network, with its requests and console errors."""

import shutil
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

ALONE = ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

SCROLLING = (
    "[...document.querySelectorAll('html, .wide')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
)
"""The texts of the elements of a page that can be scrolled sideways."""


@contextmanager
def chromium():
    path = shutil.which("chromium")
    assert path, "these tests need chromium on the path: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ALONE)
        yield browser
        browser.close()


class Visit:
    """A page, the addresses that it requested, and the errors in its console as (address of the origin, text)."""

    def __init__(self, browser, width=1400, height=1400, scheme="light"):
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.requested, self.errors = [], []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.errors.append((self.page.url, str(error))))

    def _on_console(self, message):
        if message.type == "error":
            self.errors.append((message.location["url"], message.text))
