"""What a memory must not be taken for: stories in which it once was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import SqlTable
from tests.integration.support import FIELDS, Ran, Rows, Task, creating, leads, moving, people, writes

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

Memory = dict[str, Any]
MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)
LIMIT = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]


@pytest.fixture(params=["sqlite", "duckdb", "results"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """What makes an operator remember."""
    state = {"conn_type": request.param, "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(state))
    table = {} if request.param == "results" else {"write_back": SqlTable("state", "lead_state")}
    return {"changed_only": True, **table}


def day(number: int) -> dict[str, Any]:
    """The interval of a day of the week, 0 for Monday."""
    start = MONDAY + timedelta(days=number)
    return {"data_interval_start": start, "data_interval_end": start + timedelta(days=1)}


def on_day(number: int, operator: LeadSyncOperator, name: str = "day") -> Ran:
    """Run an operator for a day of the week."""
    return Task(run_id=f"{name}_{number}", context=day(number)).run(operator)


def once(name: str, operator: LeadSyncOperator) -> Ran:
    """Run an operator once, without an interval."""
    return Task(run_id=name).run(operator)


def companies(emulator: EmulatorServer) -> list[str]:
    """What Salesforce holds."""
    return sorted(lead["Company"] for lead in emulator.leads())


def test_with_a_ladder_a_newer_day_of_another_stage_is_no_reason(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """The ladder tells who is not to be moved; that a newer day moved the lead to a lower rung says nothing."""
    emulator.seed_leads(leads(people(2)))
    on_day(3, moving(people(2), tmp_path, stage="MQL", **memory))
    tuesday = on_day(1, moving(people(2), tmp_path, stage="SQL", **memory))

    assert tuesday.counts == {"updated": 2}
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"SQL"}


def test_where_leads_that_exist_are_skipped_a_newer_day_is_no_reason(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """Nothing could be undone, and a lead that is gone is created from the values of the older day."""
    on_day(3, creating(people(2, company="Thursday"), tmp_path, **memory))
    emulator.delete_lead(emulator.leads()[0]["Id"])
    tuesday = on_day(1, creating(people(2, company="Tuesday"), tmp_path, **memory))

    assert tuesday.counts == {"created": 1, "unchanged": 1}
    assert tuesday.full["unchanged_reasons"] == {"already_exists": 1}


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_newer_day_counts_also_where_it_found_nothing_new(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, api: str
) -> None:
    """The lead was confirmed on Wednesday, and again on Thursday: Wednesday's restated values are older than that."""
    more = {"existing": "update", "api": api, **memory}
    on_day(2, creating(people(2, company="Wednesday"), tmp_path, **more))
    thursday = on_day(3, creating(people(2, company="Wednesday"), tmp_path, **more))
    wednesday = on_day(2, creating(people(2, company="Restated"), tmp_path, **more), "again")

    assert thursday.full["unchanged_reasons"] == {"same_values": 2}
    assert wednesday.full["unchanged_reasons"] == {"newer_run": 2}
    assert all(row["salesforce_id"] for row in wednesday.rows)
    assert companies(emulator) == ["Wednesday"] * 2


def test_what_a_run_by_hand_found_is_not_overruled_by_what_was_confirmed_before(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """A run without ``changed_only`` sees that the lead holds the export's new values, which somebody entered."""
    more = {"existing": "update", **memory}
    once("a", creating(people(2), tmp_path, **more))
    emulator.edit_lead(emulator.leads()[0]["Id"], Company="By hand")
    rows = [row | {"company": "By hand"} for row in people(1)]
    by_hand = once("b", creating(rows, tmp_path, **(more | {"changed_only": False})))
    back = once("c", creating(people(2), tmp_path, **more))

    assert by_hand.counts == {"unchanged": 1}
    assert back.counts == {"updated": 1, "unchanged": 1}
    assert companies(emulator) == ["Acme"] * 2


def test_what_a_run_without_memory_wrote_is_not_taken_for_what_was_confirmed(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """``changed_only`` is turned off for a night, and on again."""
    more = {"existing": "update", **memory}
    once("a", creating(people(3), tmp_path, **more))
    once("b", creating(people(2, company="Acme 2"), tmp_path, **(more | {"changed_only": False})))
    back = once("c", creating(people(3), tmp_path, **more))

    assert back.counts == {"updated": 2, "unchanged": 1}
    assert companies(emulator) == ["Acme"] * 3


def test_keys_that_differ_in_case_are_one_key_for_the_memory(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """The table has a row for each way to write it; which of them is the latest, nobody can tell."""
    more = {"existing": "update", **memory}
    small = [row | {"key": row["key"].lower(), "company": "Acme 2"} for row in people(2)]
    once("a", creating(people(2), tmp_path, **more))
    once("b", creating(small, tmp_path, **more))
    once("c", moving(people(2), tmp_path, **memory))
    back = once("d", creating(people(2), tmp_path, **more))

    assert back.counts == {"updated": 2}
    assert companies(emulator) == ["Acme"] * 2


def test_a_run_that_ends_late_confirms_later_than_one_that_began_after_it(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """A run leaves a row open; another one writes that lead; then the first one is cleared and goes on."""
    more = {"existing": "update", "batch_size": 1, "concurrency": 1, **memory}
    once("a", creating(people(2), tmp_path, **more))
    first = Task(run_id="b")
    emulator.add_fault("status", method="PATCH", path="/composite/sobjects", nth=2, status=403, reply=LIMIT)
    assert first.run(creating(people(2, company="B"), tmp_path, **more)).counts == {"updated": 1, "not_sent": 1}
    emulator.clear_faults()
    once("c", creating(people(2, company="C"), tmp_path, **more))
    assert first.run(creating(people(2, company="B"), tmp_path, **more)).counts == {"updated": 2}
    assert companies(emulator) == ["B", "C"]
    last = once("d", creating(people(2, company="C"), tmp_path, **more))

    assert last.error is None
    assert companies(emulator) == ["C"] * 2


@pytest.mark.parametrize("memory", ["sqlite", "duckdb"], indirect=True)
def test_an_older_day_that_a_newer_one_overlaps_leaves_alone_what_that_wrote(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """It had begun before; their results lie apart, so that they take no turns, and the table alone tells."""
    more = {"existing": "update", "api": "collections", **memory}
    on_day(0, creating(people(2), tmp_path, **more))
    rows = people(2, company="Tuesday")
    ran: list[Ran] = []

    def meanwhile(number: int) -> None:
        if number == 1:
            ran.append(on_day(3, creating(people(2, company="Thursday"), tmp_path / "apart", **more)))

    ran.append(on_day(1, creating(Rows(rows, before=meanwhile), tmp_path, **more)))
    held = companies(emulator)
    friday = on_day(4, creating(people(2, company="Thursday"), tmp_path, **more))

    assert [each.counts for each in ran] == [{"updated": 2}, {"unchanged": 2}]
    assert ran[1].full["unchanged_reasons"] == {"newer_run": 2}
    assert held == ["Thursday"] * 2
    assert friday.full["unchanged_reasons"] == {"same_values": 2}


def test_another_org_has_confirmed_nothing(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First a sandbox, then production, with the same table and the same folder."""
    more = {"existing": "update", **memory}
    once("a", creating(people(2), tmp_path, **more))
    emulator.reset()
    monkeypatch.setattr("airflow_provider_sfleads.emulator.oauth.ORG_ID", "00D000000000009EAA")
    live = once("b", creating(people(2), tmp_path, **more))

    assert live.counts == {"created": 2}


def test_another_external_id_finds_another_lead(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """What one field confirmed of a key says nothing of the lead that has the key in another field."""
    emulator.seed_leads([{"External_Id__c": "K-0", "LastName": "a", "Company": "a"}])
    emulator.seed_leads([{"Case_Key__c": "K-0", "LastName": "b", "Company": "b"}])
    first = once("a", moving(people(1), tmp_path, **memory))
    second = once("b", moving(people(1), tmp_path, external_id_field="Case_Key__c", **memory))

    assert (first.counts, second.counts) == ({"updated": 1}, {"updated": 1})
    assert {lead["Lead_Stage__c"] for lead in emulator.leads()} == {"MQL"}


def test_whom_an_address_found_is_looked_for_again_without_it(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """Without ``match_email`` the lead that only shares the address does not count."""
    emulator.seed_leads([{"LastName": "Ray", "Company": "Other", "Email": "ray@example.com"}])
    rows = people(1, email="ray@example.com")
    more = {"fields": {**FIELDS, "email": "Email"}, **memory}
    first = once("a", creating(rows, tmp_path, match_email=True, **more))
    second = once("b", creating(rows, tmp_path, **more))

    assert first.counts == {"unchanged": 1}
    assert second.counts == {"created": 1}


def test_what_a_run_sent_without_an_answer_is_not_taken_for_what_was_confirmed_before(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """Salesforce wrote, its answers were lost, and nobody tried again; then the values change back."""
    more = {"existing": "update", "api": "collections", **memory}
    once("a", creating(people(2), tmp_path, **more))
    emulator.add_fault("drop_after", method="PATCH", path="/composite/sobjects")
    once("b", creating(people(2, company="Acme 2"), tmp_path, **more))
    emulator.clear_faults()
    back = once("c", creating(people(2), tmp_path, **more))

    assert back.error is None
    assert companies(emulator) == ["Acme"] * 2


def test_what_a_newer_day_only_looked_at_is_no_reason(emulator: EmulatorServer, tmp_path: Path, memory: Memory) -> None:
    """The ladder of another task has left the lead alone: nothing of that could be undone."""
    emulator.seed_leads(leads(people(1), Lead_Stage__c="SQL"))
    thursday = on_day(3, moving(people(1), tmp_path, **memory))
    tuesday = on_day(1, moving(people(1), tmp_path, stage="Recycled", ladder=None, **memory))

    assert thursday.full["unchanged_reasons"] == {"beyond_stage": 1}
    assert tuesday.counts == {"updated": 1}


def test_that_a_newer_day_met_a_lead_does_not_bring_it_up_to_date(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory
) -> None:
    """A task that skips leads that exist has written nothing to it that one that updates them could undo."""
    emulator.seed_leads(leads(people(1)))
    thursday = on_day(3, creating(people(1, company="Thursday"), tmp_path, **memory))
    tuesday = on_day(1, creating(people(1, company="Tuesday"), tmp_path, existing="update", **memory))

    assert thursday.full["unchanged_reasons"] == {"already_exists": 1}
    assert tuesday.counts == {"updated": 1}


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_lead_that_only_exists_is_not_said_to_hold_the_row_s_values(
    emulator: EmulatorServer, tmp_path: Path, memory: Memory, api: str
) -> None:
    """A task that skips leads remembers that they are there, and says no more of them the next day, without a call."""
    emulator.seed_leads(leads(people(2), Phone="1"))
    rows = people(3, company="Export's")
    first = once("a", creating(rows, tmp_path, api=api, **memory))
    sent = len(writes(emulator)), len(emulator.jobs())
    second = once("b", creating(rows, tmp_path, api=api, **memory))

    assert first.counts == second.counts | {"created": 1, "unchanged": 2}
    assert first.full["unchanged_reasons"] == {"already_exists": 2}
    assert second.full["unchanged_reasons"] == {"already_exists": 2, "same_values": 1}
    assert all(row["salesforce_id"] for row in second.rows)
    assert (len(writes(emulator)), len(emulator.jobs())) == sent
    third = once("c", creating(rows, tmp_path, api=api, **memory))
    assert third.full["unchanged_reasons"] == {"already_exists": 2, "same_values": 1}
