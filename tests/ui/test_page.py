"""The page itself, in Chromium: by pointer and by keyboard, and in both modes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_sfleads.operators.links import EXECUTIONS
from airflow_provider_sfleads.results.folder import ResultsFolder
from tests.core.reports import VALUES
from tests.ui import made_up
from tests.ui.pages import keep, opened
from tests.ui.servers import Server
from tests.ui.test_routes import EXECUTION, FORMULA, HOSTILE, LAST, write_results

pytestmark = pytest.mark.whole_way

DAGS = ("nightly", "weekly", "edited")
NIGHTS = 90
# The page's own default ends today.
EVER = "since=2026-08-01"


@pytest.fixture(scope="module")
def runs(server: Server) -> str:
    """Three months of two Dags, a failed night, a hostile reason, and rows of the latest run, which is returned."""
    latest = f"scheduled__{LAST.isoformat()}"
    with made_up.database(server.database) as session:
        made_up.clear(session)
        for dag_id in DAGS:
            made_up.add_dag(session, dag_id)
        for night in range(NIGHTS):
            ran_at = LAST - timedelta(days=night)
            run_id = f"scheduled__{ran_at.isoformat()}"
            path = ResultsFolder(server.folder, "nightly", run_id, "sync", -1, EXECUTION).url
            reasons = {HOSTILE: 40, "NOT_FOUND": 31} if night < 3 else {"NOT_FOUND": 71}
            report = None if night == 5 else {"results_path": path, "reject_reasons": reasons}
            made_up.add_sync(session, "nightly", ran_at, report=report, state="failed" if night == 5 else "success")
            if not night % 7:
                made_up.add_sync(session, "weekly", ran_at, report={"dry_run": night == 7})
    write_results(server.folder, "nightly", latest, EXECUTION)
    return latest


def rows_path(run_id: str) -> str:
    """Return the page's address for the rows of a run."""
    return f"/plugin/lead-syncs?dag_id=nightly&run_id={quote(run_id)}&task_id=sync"


def test_the_page_is_in_the_menu_and_shows_what_the_syncs_did(chromium: Browser, server: Server, runs: str) -> None:
    """A failed night is seen at a glance, and a reason that looks like HTML is read as text."""
    page = opened(chromium, server, "/")
    page.get_by_role("button", name="Browse").click()
    page.get_by_role("menuitem", name="Lead syncs").click()
    expect(page.get_by_role("heading", name="Lead syncs")).to_be_visible()
    page.get_by_test_id("filter-since").fill("2026-08-01")
    page.get_by_test_id("filter-dag").select_option("nightly")

    expect(page.locator("caption")).to_have_text(f"{NIGHTS} syncs")
    expect(page.get_by_test_id("plot-bar")).to_have_count(NIGHTS)
    failed = page.locator("[aria-label='2026-11-18: failed']")
    expect(failed).to_have_count(1)
    reasons = page.get_by_test_id("reject-reasons")
    expect(reasons.get_by_role("button", name=HOSTILE)).to_be_visible()
    reasons.get_by_role("button", name=HOSTILE).click()
    expect(page.locator("caption")).to_contain_text("3 syncs with")
    assert runs


def test_dag_and_time_bound_what_is_shown_and_lie_in_the_address(chromium: Browser, server: Server, runs: str) -> None:
    """So a colleague sees the same, and a bookmark next week."""
    page = opened(chromium, server, f"/plugin/lead-syncs?{EVER}")
    page.get_by_test_id("filter-dag").select_option("weekly")
    expect(page.locator("caption")).to_have_text("12 syncs")
    page.get_by_test_id("filter-mode").select_option("all")
    expect(page.locator("caption")).to_have_text("13 syncs")
    page.get_by_test_id("filter-since").fill("2026-11-01")
    page.get_by_test_id("filter-until").fill("2026-11-16")
    expect(page.locator("caption")).to_have_text("3 syncs")
    address = page.url

    again = opened(chromium, server, address.removeprefix(server.url))

    expect(again.locator("caption")).to_have_text("3 syncs")
    expect(again.get_by_test_id("plot-bar")).to_have_count(3)
    assert runs


def test_a_bar_is_reached_and_opened_by_keyboard(chromium: Browser, server: Server, runs: str) -> None:
    """Arrow keys go from bar to bar, Enter opens the rows, and Back returns."""
    page = opened(chromium, server, "/plugin/lead-syncs?since=2026-10-15&dag=nightly")
    bars = page.get_by_test_id("plot-bar")
    expect(bars).to_have_count(40)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.testid") == "plot-bar":
            break
    expect(bars.last).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(bars.nth(38)).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")

    expect(page.get_by_test_id("rows-table")).to_be_visible()
    assert quote(runs, safe="") in page.url or quote(runs) in page.url
    page.go_back()
    expect(page.get_by_test_id("plot")).to_be_visible()


def test_rejects_are_paged_filtered_and_shown_as_text(chromium: Browser, server: Server, runs: str) -> None:
    """What looks like HTML is no HTML."""
    page = opened(chromium, server, rows_path(runs))

    expect(page.locator("caption")).to_have_text("250 rows")
    expect(page.get_by_test_id("rows-action")).to_have_value("rejected")
    expect(page.get_by_test_id("row").first).to_contain_text(f"{HOSTILE}-0")
    assert page.locator(".lead-syncs img").count() == 0
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_test_id("row").first).to_contain_text(f"{HOSTILE}-100")
    page.get_by_test_id("rows-code").select_option("B")
    expect(page.locator("caption")).to_have_text("83 rows")
    page.get_by_test_id("rows-search").fill("-100")
    expect(page.locator("caption")).to_have_text("1 row")
    assert "search" not in page.url
    page.get_by_test_id("rows-search").fill("")
    page.get_by_test_id("rows-code").select_option("")
    page.get_by_test_id("rows-action").select_option("created")
    expect(page.locator("caption")).to_have_text("50 rows")


def test_rejects_are_downloaded(chromium: Browser, server: Server, runs: str, tmp_path: Path) -> None:
    """As the file that they are, and with formulas made harmless."""
    page = opened(chromium, server, rows_path(runs))
    content = {}
    for name in ("download-rejects", "download-spreadsheet"):
        with page.expect_download() as download:
            page.get_by_test_id(name).click()
        download.value.save_as(tmp_path / name)
        content[name] = (tmp_path / name).read_text(encoding="utf-8-sig")

    quoted = FORMULA.replace('"', '""')
    folder = ResultsFolder(server.folder, "nightly", runs, "sync", -1, EXECUTION)
    assert content["download-rejects"] == Path(folder.rejects_url.removeprefix("file://")).read_text()
    assert f',"{quoted}",' in content["download-rejects"]
    assert f',"\'{quoted}",' in content["download-spreadsheet"]
    assert f',"{quoted}",' not in content["download-spreadsheet"]


def test_a_report_that_somebody_edited_breaks_no_page(chromium: Browser, server: Server, runs: str) -> None:
    """Times that are none are left out, and everything else is there."""
    with made_up.database(server.database) as session:
        odd: dict[str, Any] = {"interval_start": "garbage", "started_at": "", "api_usage": None, "reject_reasons": {}}
        run_id = made_up.add_sync(session, "edited", LAST, report=odd)
    page = opened(chromium, server, f"/plugin/lead-syncs?{EVER}&dag=edited&by=ran")
    expect(page.locator("caption")).to_have_text("1 sync")
    expect(page.get_by_test_id("plot-bar")).to_have_count(1)

    assert runs
    with made_up.database(server.database) as session:
        made_up.remove_run(session, "edited", run_id)


def test_a_night_that_was_cleared_keeps_what_it_did(chromium: Browser, server: Server, runs: str) -> None:
    """Everywhere its numbers are: summed, said to be so, and each execution can be opened."""
    names = ("20261201T030000.000000Z", "20261201T080000.000000Z")
    ran_at = LAST + timedelta(days=8)
    counts: list[dict[str, Any]] = [
        {"read": 4_171, "created": 4_095, "unchanged": 0, "rejected": 76, "api_calls": 23},
        {"read": 4_171, "created": 40, "unchanged": 4_095, "rejected": 36, "api_calls": 22},
    ]
    entries = [made_up.entry(name, **each) for name, each in zip(names, counts, strict=True)]
    report = {"filtered": 0, "updated": 0, "reject_reasons": {"NOT_FOUND": 36}, **counts[1], "executions": entries}
    run_id = f"scheduled__{ran_at.isoformat()}"
    folders = [write_results(server.folder, "weekly", run_id, name, codes=3) for name in names]
    for folder, each, told in zip(folders, counts, (entries[:1], entries), strict=True):
        folder.write_report(VALUES | report | each | {"results_path": folder.url, "executions": told})
    with made_up.database(server.database) as session:
        made_up.add_sync(session, "weekly", ran_at, report=report | {"results_path": folders[-1].url})

    page = opened(chromium, server, "/plugin/lead-syncs?since=2026-11-25&until=2026-12-03")
    expect(page.get_by_test_id("sync-row")).to_contain_text("cleared once")
    expect(page.get_by_test_id("sync-row")).to_contain_text("4,1354,095 + 40")
    expect(page.locator(".tile").filter(has_text="Created")).to_contain_text("4,135")
    expect(page.locator(".latest")).to_contain_text("4,135 created")
    expect(page.locator(".latest")).to_contain_text("cleared once")
    keep(page, "cleared night")
    page.get_by_role("link", name="Results").last.click()

    expect(page.get_by_test_id("again")).to_contain_text("Cleared once.")
    expect(page.locator(".tile").filter(has_text="Created")).to_contain_text("4,135")
    executions = page.get_by_test_id("execution")
    expect(executions).to_have_count(2)
    expect(executions.first).to_contain_text("2026-12-01 08:00:00 (below)live4,1714004,09536022")
    expect(page.get_by_test_id("executions-total")).to_contain_text("4,135")
    keep(page, "cleared night executions")
    executions.last.get_by_role("link").click()

    expect(executions.last).to_contain_text("(below)")
    expect(page.get_by_test_id("rows-execution")).to_have_value(names[0])
    expect(page.locator(".tile").filter(has_text="Created")).to_contain_text("4,135")
    page.go_back()
    expect(executions.first).to_contain_text("(below)")

    assert runs
    with made_up.database(server.database) as session:
        made_up.remove_run(session, "weekly", run_id)


def test_a_cleared_night_that_runs_again_keeps_what_it_did(chromium: Browser, server: Server, runs: str) -> None:
    """Before it has reported anew, and where it never does."""
    ran_at = LAST + timedelta(days=9)
    entries = [made_up.entry("20261202T030000.000000Z", created=4_095)]
    with made_up.database(server.database) as session:
        run_id = made_up.add_sync(session, "weekly", ran_at, report=None, state="failed")
        made_up.add_xcom(session, "weekly", ran_at, {"task_id": "sync", "map_index": -1}, EXECUTIONS, entries)

    page = opened(chromium, server, "/plugin/lead-syncs?since=2026-12-02&until=2026-12-04")
    expect(page.get_by_test_id("sync-row")).to_contain_text("before it: 4,095 created, 0 updated")
    expect(page.locator(".tile").filter(has_text="Created")).to_contain_text("4,095")
    expect(page.locator("[aria-label^='2026-12-02 03:00: failed, ']")).to_have_count(1)
    keep(page, "cleared night without a report")
    page.get_by_test_id("filter-mode").select_option("dry")
    expect(page.get_by_test_id("sync-row")).to_contain_text("no report Open")

    assert runs
    with made_up.database(server.database) as session:
        made_up.remove_run(session, "weekly", run_id)


def test_a_page_that_stays_open_over_night_asks_for_the_new_day(chromium: Browser, server: Server, runs: str) -> None:
    """When it is refreshed."""
    page = opened(chromium, server, "/plugin/lead-syncs", clock=datetime(2026, 11, 23, 20, tzinfo=UTC))
    expect(page.get_by_test_id("filter-until")).to_have_value("2026-11-23")
    page.clock.set_fixed_time(datetime(2026, 11, 24, 6, tzinfo=UTC))
    page.get_by_role("button", name="Refresh").click()

    expect(page.get_by_test_id("filter-until")).to_have_value("2026-11-24")
    assert runs


def test_the_page_follows_airflows_dark_mode(chromium: Browser, server: Server, runs: str) -> None:
    """Text on a ground that it can be read on."""
    shades: dict[str, list[float]] = {}
    for scheme in ("light", "dark"):
        page = opened(chromium, server, f"/plugin/lead-syncs?{EVER}", scheme=scheme)
        tile = page.locator(".lead-syncs .tile").first
        expect(tile).to_be_visible()
        colours = tile.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
        shades[scheme] = [_lightness(colour) for colour in colours]

    assert shades["light"][1] - shades["light"][0] > 0.5
    assert shades["dark"][0] - shades["dark"][1] > 0.5
    assert runs


@pytest.mark.parametrize(("scheme", "file"), [("light", "icon.svg"), ("dark", "icon-dark.svg")])
def test_the_menu_has_an_icon_of_the_mode(chromium: Browser, server: Server, scheme: str, file: str) -> None:
    """A picture of our own that loads, on the ground that it was made for."""
    page = opened(chromium, server, "/", scheme=scheme)
    page.get_by_role("button", name="Browse").click()
    icon = page.get_by_role("menuitem", name="Lead syncs").locator("img")
    expect(icon).to_be_visible()
    expect(icon).to_have_attribute("src", f"sfleads/static/{file}")
    expect(icon).to_have_js_property("complete", value=True)
    assert icon.evaluate("e => e.naturalWidth") > 0
    keep(page, f"menu {scheme}")


def _lightness(colour: str) -> float:
    found = re.match(r"oklch\(([\d.]+)", colour)
    assert found, f"{colour} is none of Airflow's colours"
    return float(found[1])
