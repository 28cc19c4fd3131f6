"""Links in the sources lead somewhere, since code hosts show them as they are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

from tests.docs.pages import PAGES, ROOT

SOURCES = (*PAGES, ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md")


@cache
def _targets(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """What a page links to, and its anchors, which are those that code hosts give to headings."""
    # As everywhere: the text in lower case, blanks as hyphens, without punctuation.
    tokens = MarkdownIt("commonmark").use(anchors_plugin, max_level=6).parse(path.read_text(encoding="utf-8"))
    anchors = frozenset(str(token.attrs["id"]) for token in tokens if "id" in token.attrs)
    children = [child for token in tokens for child in token.children or ()]
    links = [child.attrs.get("href") or child.attrs.get("src") for child in children]
    return frozenset(str(link) for link in links if link), anchors


def dead_links(path: Path) -> list[str]:
    """The links of a page that lead to no file or heading."""
    dead = []
    for link in sorted(_targets(path)[0]):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        has_anchor = not parts.fragment or target.suffix != ".md"
        if not target.exists() or not (has_anchor or parts.fragment in _targets(target)[1]):
            dead.append(link)
    return dead


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_link_leads_somewhere(path: Path) -> None:
    """To a file of the repository, and to a heading in it."""
    assert not dead_links(path)


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    """The test above could fail: for a file, for a heading, and for a picture."""
    page = tmp_path / "page.md"
    page.write_text(
        "# The head, one\n[a](#the-head-one) [b](#other) [c](page.md#the-head-one) [d](no.md) ![e](no.png)\n"
    )
    assert dead_links(page) == ["#other", "no.md", "no.png"]
