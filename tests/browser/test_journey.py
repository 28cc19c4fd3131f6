"""All of it in Airflow's own UI, from an Airflow that holds nothing: one journey, step after step, in this order.

The pictures of it are in ``test-artifacts/browser``.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import requests
from playwright.sync_api import expect

from tests.browser.company import FORMULA, MARKUP, TOO_LONG
from tests.browser.forms import Connections, TriggerForm
from tests.browser.lead_syncs import LeadSyncs
from tests.integration.backfilling import Backfilling
from tests.integration.real_airflow import Run
from tests.integration.weeks import CREATE, interval_of

if TYPE_CHECKING:
    from tests.browser.visitor import Visitor
    from tests.integration.real_airflow import RealAirflow
    from tests.integration.weeks import Company

CONN = "salesforce_leads_default"
SECRET = "emulator-secret"
BOTH, BULK = "salesforce_create_and_qualify", "whole_week_in_bulk"
# How an org is set up wrongly, and what the Test button says of it.
WRONG = [
    ("flow_enabled", "Tick 'Enable Client Credentials Flow'"),
    ("run_as_user", "Name a Run As user"),
    ("api_enabled", "lacks the permission API Enabled"),
    ("lead_access", "cannot see the Lead object"),
]


def test_the_connection_is_made_by_the_form(visitor: Visitor, company: Company) -> None:
    """Its fields have Salesforce's names."""
    visitor.log_in("ada")
    org = urlsplit(company.org.url)
    visitor.page.get_by_role("button", name="Admin").click()
    visitor.page.get_by_role("menuitem", name="Connections").click()
    connections = Connections(visitor.page)
    form = connections.add(
        CONN,
        "Salesforce Leads",
        My_Domain_host=f"{org.scheme}://{org.hostname}",
        Consumer_key="emulator-key",
        Consumer_secret=SECRET,
        Port=str(org.port),
    )
    expect(form.get_by_label("Consumer secret")).to_have_attribute("type", "password")
    visitor.shoot("connection form")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(form.get_by_text("API usage ceiling", exact=True)).to_be_visible()
    # Airflow ties no label to a field of text.
    ceiling = form.locator("#element_max_api_usage")
    expect(ceiling).to_have_value("0.9")
    ceiling.fill("90")
    ceiling.blur()
    expect(ceiling).to_have_value("90")
    visitor.shoot("extra fields of the connection")
    connections.save()


def test_the_test_button_says_what_is_wrong(visitor: Visitor, company: Company) -> None:
    """With the connection, and with the org; and when nothing is."""
    connections = Connections(visitor.page)
    said = connections.test(CONN)
    assert "leads can be written" in said
    # As it was typed, and not what a field of numbers up to 1 makes of it.
    assert "stop writing at 90%" in said
    visitor.shoot("test button good")

    connections.edit(CONN, Consumer_secret="mistyped")
    connections.save()
    assert "Enter the app's current consumer secret" in connections.test(CONN)
    visitor.shoot("test button wrong secret")
    connections.edit(CONN, Consumer_secret=SECRET)
    connections.save()

    for setting, says in WRONG:
        company.org.change_settings(**{setting: False})
        assert says in connections.test(CONN)
        company.org.change_settings(**{setting: True})
    visitor.shoot("test button whatever is wrong")
    assert "leads can be written" in connections.test(CONN)


def test_the_form_never_gives_the_secret_back(visitor: Visitor) -> None:
    """Whoever opens it again sees stars, and may save them without harm."""
    connections = Connections(visitor.page)
    form = connections.edit(CONN, Description="the emulator")
    form.get_by_role("button", name="Show value").click()
    expect(form.get_by_label("Consumer secret")).to_have_value("***")
    assert SECRET not in visitor.page.content()
    visitor.shoot("connection form opened again")
    connections.save()
    assert "leads can be written" in connections.test(CONN)


def test_a_run_is_triggered_with_params(visitor: Visitor, airflow: RealAirflow, company: Company) -> None:
    """A threshold that is none is refused where it was entered."""
    airflow.call("POST", "/connections", {"connection_id": "warehouse", **company.connections()["warehouse"]})
    visitor.page.get_by_role("link", name="Dags", exact=True).click()
    visitor.page.get_by_role("link", name=BOTH, exact=True).click()
    form = TriggerForm(visitor.page)
    form.threshold.fill("")
    form.threshold.blur()
    expect(form.button("Trigger")).to_be_disabled()
    form.threshold.scroll_into_view_if_needed()
    visitor.shoot("trigger form without a threshold")
    form.threshold.fill("-5")
    assert "-5" in form.refused()
    visitor.shoot("trigger form with a bad threshold")

    form.threshold.fill("60")
    start, end = interval_of(CREATE, company.first)
    form.pick("From", start)
    form.pick("To", end)
    visitor.shoot("trigger form")
    run_id = form.trigger()

    moved = Run(airflow, BOTH, run_id, "move_to_mql")
    moved.wait_for("success")
    report = moved.report()
    assert (report["interval_start"], report["updated"] > 0) == (start.isoformat(), True)
    assert {lead["Lead_Score__c"] > 60 for lead in company.org.leads() if lead["Lead_Stage__c"] == "MQL"} == {True}
    visitor.open(f"/dags/{BOTH}/runs/{run_id}")
    expect(visitor.page.get_by_text("Success").first).to_be_visible()
    visitor.shoot("run with params")


def test_a_week_is_backfilled(visitor: Visitor, airflow: RealAirflow, company: Company) -> None:
    """Its runs can be told from others, and from each other, in the list of runs."""
    visitor.open(f"/dags/{CREATE}")
    form = TriggerForm(visitor.page)
    form.be_backfill()
    form.pick("From", datetime.combine(company.days[0], time()))
    form.pick("To", datetime.combine(company.days[-1], time(23, 59)))
    expect(form.dialog).to_contain_text("7 runs will be triggered")
    visitor.shoot("backfill form")
    form.button("Run Backfill").click()
    form.dialog.wait_for(state="hidden")

    runs = Backfilling(airflow).wait_for_runs(CREATE, company.days)
    assert [run["state"] for run in runs] == ["success"] * 7
    visitor.open(f"/dags/{CREATE}/runs")
    backfilled = visitor.page.get_by_role("row").filter(has=visitor.page.get_by_text("Backfill", exact=True))
    expect(backfilled).to_have_count(7)
    for run in runs:
        expect(backfilled.get_by_role("link", name=run["dag_run_id"])).to_be_visible()
    visitor.shoot("runs of the backfill")


def test_each_link_of_a_task_leads_where_it_says(visitor: Visitor, airflow: RealAirflow, company: Company) -> None:
    """To its rows in Airflow, and to its jobs and the leads in Salesforce."""
    visitor.open(f"/dags/{BULK}")
    run = Run(airflow, BULK, TriggerForm(visitor.page).trigger(), "update_leads")
    run.wait_for("success")
    report = run.report()
    visitor.open(f"{_path(run)}/details")
    link = visitor.page.get_by_role("link", name="Results", exact=True)
    expect(link).to_be_visible()
    visitor.shoot("links of a task in bulk")

    with visitor.new_tab(visitor.page.get_by_role("link", name="Bulk job in Salesforce")) as tab:
        for job_id in report["job_ids"]:
            expect(tab.get_by_text(job_id).first).to_be_visible()
        visitor.shoot("bulk jobs in salesforce", tab)
    with visitor.new_tab(visitor.page.get_by_role("link", name="Leads in Salesforce")) as tab:
        expect(tab.locator("body")).to_contain_text(f"of {len(company.org.leads()):,}")
        visitor.shoot("leads in salesforce", tab)
    link.click()
    page = LeadSyncs(visitor.page)
    expect(page.rows.first).to_be_visible()
    page.choose_rows(action="all")
    expect(page.rows).to_have_count(100)
    visitor.shoot("results of a task in bulk")


def _path(run: Run) -> str:
    return f"/dags/{run.dag_id}/runs/{quote(run.run_id, safe='')}/tasks/{run.task_id}"


def test_the_page_shows_what_the_syncs_did_and_filters_them(visitor: Visitor, company: Company) -> None:
    """By Dag, and by time."""
    visitor.open("/")
    visitor.page.get_by_role("button", name="Browse").click()
    visitor.page.get_by_role("menuitem", name="Lead syncs").click()
    page = LeadSyncs(visitor.page)
    # Seven nights, two tasks of a run by hand, and one in bulk.
    expect(page.syncs).to_have_count(10)
    expect(page.bars).to_have_count(10)
    expect(page.reasons).to_contain_text("STRING_TOO_LONG")
    visitor.shoot("lead syncs")
    visitor.wear("dark")
    visitor.shoot("lead syncs in the dark")
    visitor.wear("light")

    page.filter(dag=CREATE)
    expect(page.syncs).to_have_count(7)
    expect(page.syncs.filter(has_text=CREATE)).to_have_count(7)
    page.filter(by="interval", since=str(company.days[2]), until=str(company.days[3]))
    expect(page.syncs).to_have_count(2)
    page.filter(since="2026-01-02", until="2026-01-03")
    expect(page.empty).to_be_visible()
    visitor.shoot("lead syncs of a time without any")
    page.filter(dag="", until=str(company.days[-1]), since=str(company.days[0]))
    expect(page.syncs).to_have_count(9)
    visitor.shoot("lead syncs by interval")


def test_rejects_are_opened_searched_and_paged_through(visitor: Visitor, company: Company) -> None:
    """Whatever they hold is shown as it is, and does nothing."""
    page = LeadSyncs(visitor.page)
    first, _ = interval_of(CREATE, company.days[1])
    page.open_rows("Rejects", CREATE, f"{first:%Y-%m-%d %H:%M}")
    for text in (MARKUP, FORMULA):
        expect(page.rows.filter(has_text=f"{text}-1")).to_be_visible()
    expect(visitor.page.locator("img[src=x]")).to_have_count(0)
    visitor.shoot("rejects")
    count = page.rows.count()

    page.choose_rows(code="STRING_TOO_LONG")
    expect(page.rows.filter(has_not_text="STRING_TOO_LONG")).to_have_count(0)
    expect(page.rows.filter(has_text=f"{MARKUP}-1")).to_be_visible()
    page.choose_rows(code="")
    expect(page.rows).to_have_count(count)
    page.search("hyperlink")
    expect(page.rows).to_have_count(1)
    page.search("")
    page.choose_rows(action="all")
    expect(page.rows).to_have_count(100)
    seen = page.rows.first.inner_text()
    page.next_page()
    expect(page.rows.first).not_to_have_text(seen)
    page.choose_rows(action="rejected")
    expect(page.rows).to_have_count(count)


def test_rejects_are_downloaded(visitor: Visitor) -> None:
    """As they were in the warehouse; for a spreadsheet, without what it would run."""
    page = LeadSyncs(visitor.page)
    shown = {row.get_by_role("rowheader").inner_text() for row in page.rows.all()}
    plain, harmless = (page.download(f"download-{name}") for name in ("rejects", "spreadsheet"))

    assert shown == {row["lead_key"] for row in plain}
    assert {(FORMULA, "INVALID_EMAIL_ADDRESS"), (TOO_LONG, "STRING_TOO_LONG")} <= {
        (row["last_name"], row["error_code"]) for row in plain
    }
    assert [row for row in harmless if row["last_name"] == f"'{FORMULA}"]
    assert not [text for row in harmless for text in row.values() if text.startswith("=")]


def test_keys_alone_lead_to_the_rows(visitor: Visitor) -> None:
    """From a bar of the plot, and from a line of the table."""
    visitor.open("/plugin/lead-syncs")
    page = LeadSyncs(visitor.page)
    for place, words in (("plot-bar", ""), ("sync-row", "Rejects")):
        expect(page.bars.first).to_be_visible()
        page.tab_to(place, words)
        visitor.shoot(f"lead syncs by keys to {place}")
        visitor.page.keyboard.press("Enter")
        expect(page.rows.first).to_be_visible()
        visitor.page.go_back()


def test_the_same_is_in_a_tab_of_dag_run_and_task(visitor: Visitor, airflow: RealAirflow, company: Company) -> None:
    """Each shows its own."""
    page = LeadSyncs(visitor.page)
    run_id = Backfilling(airflow).wait_for_runs(CREATE, company.days)[2]["dag_run_id"]
    run = Run(airflow, CREATE, run_id, "create_leads")
    for path, shown, count in (
        (f"/dags/{CREATE}", page.syncs, 7),
        (f"/dags/{CREATE}/runs/{quote(run_id, safe='')}", page.syncs, 1),
        (_path(run), page.rows, run.report()["rejected"]),
    ):
        visitor.open(path)
        # Where there is room for its icon, the link's name is that of the icon, and its own.
        visitor.page.get_by_role("link", name="Lead syncs").click()
        expect(shown).to_have_count(count)
        visitor.shoot(f"tab of {('dag', 'run', 'task')[path.count('/') // 2 - 1]}")


def test_without_a_login_there_is_nothing(visitor: Visitor) -> None:
    """Every route refuses, and the page asks who is there."""
    from airflow_provider_sfleads.ui.app import app

    names = {"name": "lead-syncs.js", "dag_id": CREATE, "run_id": "r", "task_id": "t"}
    urls = [f"{visitor.url}/sfleads{route.path.format(**names)}" for route in app.routes]  # type: ignore[attr-defined]
    assert {requests.get(url, timeout=30).status_code for url in urls} == {401}
    with visitor.stranger() as page:
        page.goto(f"{visitor.url}/plugin/lead-syncs")
        expect(page.get_by_label("Password")).to_be_visible()
