from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.message import LIMIT, SUBJECT_LIMIT, Section, as_text, message_of

MARKUP = re.compile(r"[<>&*`~]|(?<!\w)_|_(?!\w)|\]\(|(?<!\w)@")
# Whatever there is, and what markup is made of, which is rarely drawn from all there is.
words = st.text(max_size=500) | st.text("_@*<>&`~[]( \nab\u00e9\uff3f", max_size=500)
sections = st.lists(st.tuples(st.sampled_from(["", "Why"]), st.lists(words)))


class Tags(HTMLParser):
    """Collects the tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(  # noqa: D102 - its base's
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        self.tags.add(tag)
        self.links += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:  # noqa: D102
        self.text += data


@given(words, sections, st.none() | words | st.text(max_size=2_000))
@example("", [], "_")
@example("", [], "http://airflow/dags/_mql_/runs/_r?try_number=1")
@example("a" * 146 + "_b" * 10, [], None)
@example("a" * 144 + "___b" * 10, [], None)
@example("", [("", ("_" * 2_900 + "a" + "_b" * 500,))], None)
def test_whatever_is_told_is_text(subject: str, parts: list[Section], url: str | None) -> None:
    """No markup, no control character, never longer than a chat takes, and in HTML no tag but the message's own."""
    message = message_of(subject, parts, log_url=url)
    assert len(message.text) <= LIMIT
    assert len(message.subject) <= SUBJECT_LIMIT
    assert message.text.startswith(message.subject)
    assert not MARKUP.search(message.text)
    assert all(each.isprintable() or each == "\n" for each in message.text)
    assert "\n" not in message.subject
    message.text.encode()
    page = Tags(message.html)
    assert page.tags <= {"p", "b", "br", "ul", "li", "a"}
    assert len(page.links) <= 1
    page.text.encode()


@pytest.mark.parametrize(
    "words",
    [
        "<!channel>",
        "<script>alert(1)</script>",
        "*bold*",
        "_it_",
        "~gone~",
        "`x`",
        "[a](http://b)",
        "&lt;",
        "@everyone",
    ],
)
def test_markup_is_shown(words: str) -> None:
    """A reader sees what is meant; in HTML it is even the very characters."""
    assert not MARKUP.search(as_text(words))
    assert len(as_text(words)) - len(words) in (0, 1)
    page = Tags(message_of("x", [("", (words,))]).html)
    assert page.text == f"x{words}"


@pytest.mark.parametrize("words", ["lead_nr_1", "manual__2026-11-20T00:00:00+00:00", "s3://conn@lake/a_b/c"])
def test_what_is_no_markup_can_be_copied(words: str) -> None:
    """Names, run ids and paths stay as they are."""
    assert as_text(words) == words


def test_the_log_survives_a_long_message() -> None:
    """What is too long loses its end, but not the address of the log."""
    message = message_of("x", [("", ("y" * 9_000,))], log_url="http://airflow/dags/d?try_number=1")
    assert len(message.text) == LIMIT
    assert message.text.endswith("y...\n\nLog: http://airflow/dags/d?try_number=1")
    assert Tags(message.html).links == ["http://airflow/dags/d?try_number=1"]


def test_an_address_without_end_is_left_out() -> None:
    """It would leave no room for what is to be said."""
    message = message_of("x", [("", ("what matters",))], log_url="http://airflow/" + "y" * 2_000)
    assert message.text == "x\n\nwhat matters"


def test_an_address_leads_where_it_did() -> None:
    """What would be markup in it stands there as the same character in another spelling (RFC 3986, section 2.3)."""
    url = "http://airflow/dags/_mql_/runs/manual__2026-11-20T00:00:00+00:00/tasks/move_?try_number=1"
    (link,) = Tags(message_of("x", [], log_url=url).html).links
    assert link == "http://airflow/dags/%5Fmql%5F/runs/manual__2026-11-20T00:00:00+00:00/tasks/move%5F?try_number=1"
    assert unquote(link) == url


def test_an_address_cannot_leave_its_attribute() -> None:
    """Quotes and tags in it are percent-encoded."""
    message = message_of("x", [], log_url='http://a/"onclick="x"><b>')
    assert Tags(message.html).tags == {"p", "b", "a"}
    assert html.unescape(message.html).count('"') == 2
