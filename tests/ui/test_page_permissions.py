"""The page in Chromium for people of different rights, under Airflow's simple auth manager and under FAB's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.ui.guarded import RUN
from tests.ui.pages import back_at, be, keep, no_page, opened
from tests.ui.people import OURS, THEIRS, password

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.ui.servers import Server

PAGE = "/plugin/lead-syncs?since=2026-11-20&until=2026-11-25"
_DAG = f"/dags/{OURS}"
_RUN = f"{_DAG}/runs/{quote(RUN, safe='')}"
#: Airflow's pages that have the tab, and how much of what there is each shows.
TABS = {_DAG: ("sync-row", 2), _RUN: ("sync-row", 1), f"{_RUN}/tasks/sync": ("row", 3)}


def rows_of(dag_id: str) -> str:
    """The page's address for the rows of a Dag's run."""
    return f"/plugin/lead-syncs?dag_id={dag_id}&run_id={quote(RUN)}&task_id=sync"


def tab(page: Page) -> None:
    """Go to the tab."""
    page.get_by_role("link", name="Lead syncs", exact=True).click()


def sign_in(page: Page, user: str) -> None:
    """Fill in the form that the auth manager shows."""
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password(user))
    page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()


@pytest.mark.usefixtures("any_runs")
def test_who_may_read_a_dag_finds_it_in_menu_and_tabs(chromium: Browser, any_server: Server) -> None:
    """The syncs of that Dag and of no other; the tabs of Dag, run and task instance show their own."""
    page = opened(chromium, any_server, "/", user="reader")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Lead syncs").click()
    page.get_by_test_id("filter-since").fill("2026-11-20")

    expect(page.get_by_test_id("sync-row")).to_have_count(2)
    assert page.get_by_test_id("filter-dag").locator("option").all_inner_texts() == ["all Dags", OURS]
    page.get_by_role("link", name="Rejects").click()
    expect(page.get_by_test_id("row")).to_have_count(3)
    for path, (part, count) in TABS.items():
        page.goto(any_server.url + path)
        tab(page)
        expect(page.get_by_test_id(part)).to_have_count(count)
    with page.expect_download() as download:
        page.get_by_test_id("download-rejects").click()
    assert "is too long" in download.value.path().read_text()


@pytest.mark.usefixtures("any_runs")
def test_who_may_not_read_xcoms_sees_numbers_and_is_told_why_no_rows(chromium: Browser, any_server: Server) -> None:
    """On the page, by the address of the rows, and in the task instance's tab."""
    page = opened(chromium, any_server, PAGE, user="numbers")
    expect(page.get_by_test_id("sync-row")).to_have_count(2)
    expect(page.get_by_test_id("sync-row").get_by_text("not yours to read")).to_have_count(1)
    assert page.get_by_role("link", name="Rejects").count() == 0
    for path in (rows_of(OURS), f"{_RUN}/tasks/sync/plugin/lead-syncs-of-task"):
        page.goto(any_server.url + path)
        expect(page.get_by_test_id("error")).to_contain_text("a role that may read the Dag")
        assert page.get_by_test_id("row").count() == 0


@pytest.mark.usefixtures("any_runs")
def test_who_may_not_read_the_dag_sees_nothing_of_it(chromium: Browser, any_server: Server) -> None:
    """Not even its name; nor by an address that somebody has sent."""
    page = opened(chromium, any_server, f"{PAGE}&mode=all", user="outsider")
    expect(page.get_by_test_id("empty")).to_be_visible()
    assert page.get_by_test_id("filter-dag").locator("option").all_inner_texts() == ["all Dags"]
    page.goto(any_server.url + rows_of(THEIRS))

    expect(page.get_by_test_id("error")).to_contain_text("You may not read this")


@pytest.mark.usefixtures("any_runs")
def test_who_has_not_signed_in_does_so_and_is_back(chromium: Browser, any_server: Server) -> None:
    """The address of the page leads to the form first, and the form leads to the page."""
    page = opened(chromium, any_server, PAGE, user=None)
    sign_in(page, "reader")

    expect(page.get_by_test_id("sync-row")).to_have_count(2)
    assert page.url.endswith(back_at(PAGE))


@pytest.mark.usefixtures("any_runs")
@pytest.mark.parametrize("token", ["", "of.another.server"], ids=["none", "not-valid-any-more"])
def test_a_session_that_ends_is_told_with_the_way_back(chromium: Browser, any_server: Server, token: str) -> None:
    """The page stays where it is until the link is followed, and is where it was after the form."""
    page = opened(chromium, any_server, PAGE, user="reader")
    expect(page.get_by_test_id("sync-row")).to_have_count(2)
    # Airflow's own part of the page would notice as well, and go to the form by itself.
    for own in ("**/api/v2/**", "**/ui/**"):
        page.route(own, lambda route: route.abort())
    page.context.clear_cookies()
    if token:
        be(page.context, any_server, token)
    page.get_by_role("button", name="Refresh").click()

    expect(page.get_by_test_id("error")).to_contain_text("Your session is over")
    keep(page, "session over")
    page.unroute_all()
    page.get_by_role("link", name="Sign in").click()
    sign_in(page, "reader")
    expect(page.get_by_test_id("sync-row")).to_have_count(2)
    assert page.url.endswith(back_at(PAGE))


@pytest.mark.whole_way
@pytest.mark.usefixtures("fab_runs")
@pytest.mark.parametrize("user", ["without_plugins", "viewer"])
def test_who_may_not_read_plugins_is_offered_no_page(chromium: Browser, fab_server: Server, user: str) -> None:
    """Airflow asks for that permission before it shows any plugin's page; FAB's Viewer and User come without it."""
    page = opened(chromium, fab_server, _DAG, user=user)
    expect(page.get_by_role("link", name="Details", exact=True)).to_be_visible()
    assert page.get_by_role("link", name="Lead syncs", exact=True).count() == 0
    page.goto(fab_server.url + PAGE)

    expect(page.get_by_text(no_page())).to_be_visible()


@pytest.mark.whole_way
@pytest.mark.usefixtures("fab_runs")
def test_who_has_not_signed_in_sees_what_the_public_role_may(chromium: Browser, open_server: Server) -> None:
    """Without a form, where Airflow is open to everybody."""
    page = opened(chromium, open_server, PAGE, user=None)

    expect(page.get_by_test_id("sync-row")).to_have_count(2)
    expect(page.get_by_test_id("sync-row").get_by_text("not yours to read")).to_have_count(1)
    assert page.get_by_test_id("filter-dag").locator("option").all_inner_texts() == ["all Dags", OURS]
