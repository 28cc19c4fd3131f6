"""Which API a load takes, what it says of that, and what comes back of the rows that Bulk refuses."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator import ids
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.exports import FileExport
from tests.integration.support import FIELDS, Ran, Record, Task, creating, leads, moving, no_retry, people, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

BULK: dict[str, Any] = {"api": "bulk"}


def said(ran: Ran, caplog: pytest.LogCaptureFixture) -> str:
    """The reason in the report, which the log has to have as well."""
    reason = str(ran.full["api_reason"])
    assert reason in caplog.text
    return reason


@pytest.mark.parametrize(("count", "api"), [(2_000, "collections"), (2_001, "bulk")])
def test_auto_takes_bulk_from_2001_rows_to_send_on(
    count: int, api: str, emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Salesforce's own advice, to the row; the log and the report say why."""
    caplog.set_level(logging.INFO)
    ran = run(creating(people(count), tmp_path))

    assert (ran.error, ran.counts, ran.full["api"]) == (None, {"created": count}, api)
    assert f"auto: {count:,} rows" in said(ran, caplog)
    assert len(emulator.jobs()) == len(ran.full["job_ids"]) == (api == "bulk")
    assert {row["api"] for row in ran.rows} == {api}


def test_auto_goes_by_the_rows_to_send_and_not_by_those_to_look_at(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of 10,000 leads 50 are to be moved: no job is worth that."""
    caplog.set_level(logging.INFO)
    emulator.seed_leads([*leads(people(9_950), Lead_Stage__c="MQL"), *leads(people(50, start=9_950))])
    ran = run(moving(people(10_000), tmp_path))

    assert (ran.error, ran.counts, ran.full["api"]) == (None, {"unchanged": 9_950, "updated": 50}, "collections")
    assert "auto" in said(ran, caplog)
    assert [job for job in emulator.jobs() if job["operation"] != "query"] == []


def test_auto_goes_by_the_rows_that_the_filters_leave(emulator: EmulatorServer, tmp_path: Path) -> None:
    """And rejects are not sent either."""
    rows = [{**row, "score": n % 100} for n, row in enumerate(people(5_000))]
    emulator.seed_leads(leads(people(5_000)))
    ran = run(moving(rows, tmp_path, score="score", threshold=89))

    assert (ran.error, ran.counts, ran.full["api"]) == (None, {"filtered": 4_500, "updated": 500}, "collections")
    assert emulator.jobs() == []


def test_duplicates_allow_stays_with_collections_and_says_so(
    emulator: EmulatorServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bulk has no header for it."""
    caplog.set_level(logging.INFO)
    emulator.change_settings(duplicate_rule="alert")
    rows = people(2_100, last="Same")
    ran = run(creating(rows, tmp_path, duplicates="allow"))

    assert (ran.error, ran.counts, ran.full["api"]) == (None, {"created": 2_100}, "collections")
    assert "duplicates='allow'" in said(ran, caplog)


def test_duplicates_allow_and_bulk_cannot_be_had_together(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Nothing is read or sent."""
    ran = run(creating(people(3), tmp_path, duplicates="allow", **BULK))

    assert no_retry(ran.error)
    assert isinstance(ran.error.__cause__ if ran.error else None, ParameterError) or "duplicates" in str(ran.error)
    assert emulator.leads() == []


@pytest.mark.parametrize("how", [{}, {"existing": "update"}, {"external_id_field": None}], ids=str)
def test_a_dry_run_of_many_rows_sends_nothing(how: Record, emulator: EmulatorServer, tmp_path: Path) -> None:
    """It tells new leads from known ones where there is a key to tell them by."""
    emulator.seed_leads(leads(people(100), Company="Old"))
    rows = [*people(2_500), {"key": "bad", "last": None, "company": "x"}, *people(1, last="#N/A", start=9_999)]
    ran = run(creating(rows, tmp_path, dry_run=True, max_rejects=1, **how))

    counts = {"would_create": 2_401, "rejected": 1}
    if how.get("existing") == "update":
        counts["would_update"] = 100
    elif how:
        counts["would_create"] += 100
    else:
        counts["unchanged"] = 100
    assert (ran.error, ran.counts, len(ran.rows)) == (None, counts, 2_502)
    assert len(emulator.leads()) == 100
    assert {call["method"] for call in emulator.requests() if call["records"]} <= {"GET", "POST"}
    assert [job for job in emulator.jobs() if job["operation"] != "query"] == []


def test_a_dry_run_of_many_moves_sends_nothing(emulator: EmulatorServer, tmp_path: Path) -> None:
    """And a live run of the same task afterwards does what it said."""
    emulator.seed_leads(leads(people(2_500)))
    task = Task()
    dry = task.run(moving(people(2_500), tmp_path, dry_run=True))
    history = emulator.history()
    live = task.run(moving(people(2_500), tmp_path))

    assert (dry.error, dry.counts) == (None, {"would_update": 2_500})
    assert not [change for change in history if change["field"] == "Lead_Stage__c"]
    assert (live.error, live.counts, live.full["api"]) == (None, {"updated": 2_500}, "bulk")


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("fields", [True, False])
def test_a_lead_that_exists_is_left_alone_and_named(
    language: str, emulator: EmulatorServer, tmp_path: Path, *, fields: bool
) -> None:
    """In whatever words Salesforce says so."""
    emulator.change_settings(language=language, duplicate_value_fields=fields)
    ids = emulator.seed_leads(leads(people(100)))
    ran = run(creating(people(300), tmp_path, **BULK))

    assert (ran.error, ran.counts) == (None, {"created": 200, "unchanged": 100})
    assert [ran.by_key[f"K-{n}"]["salesforce_id"] for n in range(100)] == ids
    assert ran.full["unchanged_reasons"] == {"already_exists": 100}


def test_what_salesforce_refuses_can_be_mended_and_fed_back(emulator: EmulatorServer, tmp_path: Path) -> None:
    """``sf__Error`` is taken apart as the errors of collections are, and the rows are as they were read."""
    rows = [{**row, "owner": ids.SALES_USER_ID, "text": f'"{n}",\n{n}'} for n, row in enumerate(people(300))]
    for row in rows[::100]:
        row["owner"] = ids.INACTIVE_USER_ID
    fields = FIELDS | {"owner": "OwnerId", "text": "Description"}
    emulator.add_fault("lock", key="^K-7$", count=2)
    how: dict[str, Any] = {"fields": fields, "assignment_rule": None, **BULK}
    first = run(creating(rows, tmp_path, max_rejects=3, **how))
    path = tmp_path / "mended.csv"
    rejects = Path(first.full["rejects_path"].removeprefix("file://")).read_text()
    path.write_text(rejects.replace(ids.INACTIVE_USER_ID, ids.SALES_USER_ID))
    second = Task(run_id="mended").run(creating(FileExport(str(path)), tmp_path, **how))

    assert (first.error, first.counts) == (None, {"created": 297, "rejected": 3})
    assert {row["error_code"] for row in first.rejects} == {"INACTIVE_OWNER_OR_USER"}
    assert {tuple(row["error_fields"]) for row in first.rows if row["error_code"]} == {("OwnerId",)}
    assert {row["api"] for row in first.rows if row["error_code"]} == {"bulk"}
    assert (second.error, second.counts) == (None, {"created": 3})
    assert {lead["Description"] for lead in emulator.leads()} == {row["text"] for row in rows}
