"""A real browser, kept from the network, and what it was asked for and complained of."""

import shutil
from contextlib import contextmanager

from playwright.sync_api import sync_playwright

ALONE = ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

SCROLLING = (
    "[...document.querySelectorAll('html, .wide')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.innerText)"
)
"""What can be scrolled sideways on a page."""


@contextmanager
def chromium():
    path = shutil.which("chromium")
    assert path, "these tests need chromium on the path: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ALONE)
        yield browser
        browser.close()


class Visit:
    """A page, the addresses that it asked for, and the complaints in its console as (address of the origin, text)."""

    def __init__(self, browser, width=1400, height=1400, scheme="light"):
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append((self.page.url, str(error))))

    def _heard(self, message):
        if message.type == "error":
            self.complaints.append((message.location["url"], message.text))
