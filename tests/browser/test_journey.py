"""All of it in Airflow's own UI, from an Airflow that holds nothing: one journey, step after step, in this order.

The pictures of it are in ``test-artifacts/browser``.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.forms import Connections, TriggerForm
from tests.integration.backfilling import Backfilling
from tests.integration.real_airflow import Run
from tests.integration.weeks import CREATE, interval_of

if TYPE_CHECKING:
    from tests.browser.visitor import Visitor
    from tests.integration.real_airflow import RealAirflow
    from tests.integration.weeks import Company

# Each step may wait for runs on a busy machine; all of them together take a few minutes.
pytestmark = pytest.mark.timeout(240)

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
    expect(form.get_by_label("API usage ceiling")).to_have_value("0.9")
    visitor.shoot("extra fields of the connection")
    connections.save()


def test_the_test_button_says_what_is_wrong(visitor: Visitor, company: Company) -> None:
    """With the connection, and with the org; and when nothing is."""
    connections = Connections(visitor.page)
    assert connections.test(CONN) == ""
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
    visitor.shoot("test button no access to leads")
    assert connections.test(CONN) == ""


def test_the_form_never_gives_the_secret_back(visitor: Visitor) -> None:
    """Whoever opens it again sees stars, and may save them without harm."""
    connections = Connections(visitor.page)
    form = connections.edit(CONN, Description="the emulator")
    form.get_by_role("button", name="Show value").click()
    expect(form.get_by_label("Consumer secret")).to_have_value("***")
    assert SECRET not in visitor.page.content()
    visitor.shoot("connection form opened again")
    connections.save()
    assert connections.test(CONN) == ""


def test_a_run_is_triggered_with_params(visitor: Visitor, airflow: RealAirflow, company: Company) -> None:
    """A threshold that is none does not get past the form."""
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
    form.threshold.blur()
    expect(form.threshold).to_have_value("0")

    form.threshold.fill("60")
    start, end = interval_of(CREATE, company.first)
    form.pick("From", start)
    form.pick("To (not included)", end)
    visitor.shoot("trigger form")
    run_id = form.trigger()

    Run(airflow, BOTH, run_id, "move_to_mql").wait_for("success")
    report = Run(airflow, BOTH, run_id, "move_to_mql").report()
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
