"""The built site hangs together, and needs nothing from elsewhere."""

from __future__ import annotations

from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import DOCS, PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What a browser loads by itself.
_LOADED = {"img": "src", "link": "href", "script": "src", "source": "src"}


class _Page(HTMLParser):
    """Collects what a page links to, what it loads, and its anchors."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        if tag in _LOADED and _LOADED[tag] in given:
            self.loaded.add(given[_LOADED[tag]])


@cache
def _page(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def dead_links(folder: Path) -> list[str]:
    """The links of all pages in a folder, and what they load, that lead to nothing in it."""
    dead = []
    for path in sorted(folder.rglob("*.html")):
        page = _page(path)
        for link in sorted(page.links | page.loaded):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_dead = not target.is_file()
            if not is_dead and parts.fragment and target.suffix == ".html":
                is_dead = unquote(parts.fragment) not in _page(target).anchors
            if is_dead:
                dead.append(f"{path.relative_to(folder)}: {link}")
    return dead


def test_each_link_leads_somewhere(site: Path) -> None:
    """No page links to a page, an anchor or a file that is not there."""
    # The search page's script makes one page of another's anchors; it has no links of its own.
    assert len(list(site.rglob("*.html"))) > len(PAGES)
    assert not dead_links(site)


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """The test above could fail: for a page, for an anchor, and for a picture."""
    (tmp_path / "a.html").write_text('<p id="here"><a href="#here"></a><a href="b.html#x"></a><img src="c.png"></p>')
    (tmp_path / "b.html").write_text('<a href="a.html#here"></a><a href="a.html#gone"></a><a href="d.html"></a>')
    assert dead_links(tmp_path) == ["a.html: b.html#x", "a.html: c.png", "b.html: a.html#gone", "b.html: d.html"]


def test_the_site_needs_no_network(site: Path) -> None:
    """Pages load nothing from another host: no font, no script, no style."""
    loaded = {link for path in site.rglob("*.html") for link in _page(path).loaded}
    assert loaded
    assert not [link for link in loaded if urlsplit(link).netloc]
    assert not [path for path in site.rglob("*.css") if "url(http" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("word", ["threshold", "SalesforceCreateLeadsOperator", "changed_only", "RejectsExceededError"])
def test_the_search_finds(site: Path, browser: Browser, word: str) -> None:
    """What people look for, from a folder and without a network."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q={word}")
    page.locator("#search-results ul.search li").first.wait_for()
    context.close()


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "telephone"])
def test_no_table_is_cut(site: Path, browser: Browser, width: int) -> None:
    """What to do stands in the last column: nobody has to guess that a table can be moved."""
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    cut = []
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        wide = page.evaluate(
            "() => [...document.querySelectorAll('.content table.docutils')]"
            ".map(table => [table.scrollWidth, table.closest('.table-wrapper, .content').clientWidth])"
            ".filter(([table, room]) => table > room + 1)"
        )
        cut += [f"{path.relative_to(site)}: {table} in {room}" for table, room in wide]
    context.close()
    assert not cut


def test_pages_stay_on_the_site(site: Path) -> None:
    """Every page of docs/ is built; what a page offers for download is a Dag, not a text that the site lacks."""
    built = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert {path.relative_to(DOCS).with_suffix("") for path in PAGES if path.is_relative_to(DOCS)} <= built
    assert not [path.name for path in (site / "_downloads").rglob("*") if path.suffix == ".md"]
