"""Leads that another process of the same user makes while a row's own request has no answer: whose they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator.dml import Write, execute
from airflow_provider_sfleads.emulator.faults import Fault
from airflow_provider_sfleads.emulator.sales import convert, list_leads
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.operators.leads import SalesforceCreateLeadsOperator
from airflow_provider_sfleads.salesforce.settings import Retries
from tests.integration.support import (
    FIELDS,
    Record,
    Rows,
    Task,
    by_external_id,
    killed_at_write,
    leads,
    no_retry,
    people,
)

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.emulator.watching import Sight
    from airflow_provider_sfleads.salesforce.client import Client
    from airflow_provider_sfleads.salesforce.settings import Settings

pytestmark = pytest.mark.usefixtures("salesforce_conn")

WRITES: dict[str, Any] = {"path": "/composite/sobjects"}
NO_REQUESTS_LEFT: dict[str, Any] = {
    "status": 403,
    "reply": [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}],
}
WRITE_OF = {"collections": "/composite/sobjects/Lead/", "bulk": "/jobs/ingest"}
OURS, THEIRS = "Ours", "Theirs"
COUNT = 60


class HastyHook(SalesforceLeadsHook):
    """Tries again at once."""

    def _make_client(self, settings: Settings) -> Client:
        return super()._make_client(replace(settings, retries=Retries(attempts=3, base=0.002)))


class HastyCreate(SalesforceCreateLeadsOperator):
    """A create task that does not wait long."""

    def _hook(self) -> SalesforceLeadsHook:
        return HastyHook(salesforce_conn_id=self.salesforce_conn_id)


def mine(folder: Path, rows: Rows | list[Record] | None = None, **more: Any) -> HastyCreate:
    """The task whose requests get no answer."""
    found = people(COUNT, company=OURS) if rows is None else rows
    export: Any = Rows(found) if isinstance(found, list) else found
    given: dict[str, Any] = {"external_id_field": "External_Id__c", "fields": FIELDS, "task_id": "create", "key": "key"}
    usual = {"api": "collections", "concurrency": 1}
    return HastyCreate(export=export, results_path=str(folder), **(given | usual | more))


def another_makes(emulator: EmulatorServer, rows: list[Record] | None = None) -> Callable[[], object]:
    """Another process of the same user makes the same leads."""
    records = leads(people(COUNT, company=THEIRS) if rows is None else rows)
    return lambda: execute(emulator.emulator, records, Write(operation="create", request=0))


def once(emulator: EmulatorServer, act: Callable[[], object], *, path: str, method: str = "P") -> None:
    """Do something in Salesforce as soon as such a request has arrived, before anything is done about it."""
    done: list[int] = []

    def watch(sight: Sight) -> None:
        if sight.phase == "arrived" and path in sight.target and sight.method.startswith(method) and not done:
            done.append(1)
            act()

    emulator.watch(watch)


def companies(emulator: EmulatorServer) -> set[str]:
    """What the leads hold."""
    return {str(lead["Company"]) for lead in by_external_id(emulator).values()}


@pytest.mark.parametrize("lost", ["first", "all"])
@pytest.mark.parametrize("existing", ["update", "skip"])
def test_a_lead_with_other_values_is_not_what_a_lost_request_made(
    emulator: EmulatorServer, tmp_path: Path, existing: str, lost: str
) -> None:
    """The request was not carried out, and somebody made its leads: they are updated, or were there already."""
    emulator.add_fault("drop_before", nth=1, **WRITES)
    once(emulator, another_makes(emulator), path="/composite/sobjects")
    if lost == "all":
        emulator.add_fault("status", **WRITES, **NO_REQUESTS_LEFT)
    task, how = Task(), dict[str, Any](existing=existing, changed_only=True)
    ran = task.run(mine(tmp_path, **how))
    assert ran.full["created"] == 0
    if ran.error is not None:
        assert (lost, no_retry(ran.error)) == ("all", False)
        emulator.clear_faults()
        ran = task.run(mine(tmp_path, **how))
    assert ran.error is None
    if existing == "skip":
        assert ran.full["unchanged_reasons"] == {"already_exists": COUNT}
        return
    assert ran.counts == {"updated": COUNT}
    assert companies(emulator) == {OURS}
    after = Task(run_id="after").run(mine(tmp_path, **how))
    assert after.full["unchanged_reasons"] == {"same_values": COUNT}


@pytest.mark.parametrize("existing", ["update", "skip"])
def test_a_retry_takes_nothing_for_its_own_that_it_never_sent(
    emulator: EmulatorServer, tmp_path: Path, existing: str
) -> None:
    """Only the first page was on its way when the try ended; whoever made the other leads, no row of its did."""
    emulator.add_fault("drop_after", nth=1, **WRITES)
    emulator.add_fault("status", **WRITES, **NO_REQUESTS_LEFT)
    no_queries = Fault(effect="status", path="/query", **NO_REQUESTS_LEFT)
    once(emulator, lambda: emulator.emulator.faults.add(no_queries), path="/composite/sobjects")
    task, how = Task(), dict[str, Any](existing=existing, batch_size=20)
    assert task.run(mine(tmp_path, **how)).counts == {"not_sent": COUNT}
    assert emulator.stats()["leads"] == 20
    emulator.clear_faults()
    another_makes(emulator, people(40, start=20, company=OURS))()
    second = task.run(mine(tmp_path, **how))
    assert (second.error, second.counts) == (None, {"created": 20, "unchanged": 40})
    assert {row["key"] for row in second.rows if row["action"] == "created"} == {f"K-{n}" for n in range(20)}


@pytest.mark.parametrize("existing", ["update", "skip"])
def test_what_a_killed_try_had_on_its_way_is_its_own(emulator: EmulatorServer, tmp_path: Path, existing: str) -> None:
    """The retry knows it from what the killed one wrote down before it sent."""
    task, rows = Task(), people(2_010, company=OURS)
    killed_at_write(mine(tmp_path, rows, existing=existing, concurrency=4), task, emulator, 4)
    ran = task.run(mine(tmp_path, rows, existing=existing))
    assert (ran.error, ran.counts) == (None, {"created": 2_010})
    assert not list(ran.folder.glob("_sent/*"))


@pytest.mark.parametrize("existing", ["update", "skip"])
def test_two_runs_side_by_side_make_each_lead_once(emulator: EmulatorServer, tmp_path: Path, existing: str) -> None:
    """Both lose answers, and of each lead only one of them says that it made it."""
    how: Record = {"existing": existing, "batch_size": 10}
    no_queries = Fault(effect="status", path="/query", **NO_REQUESTS_LEFT)
    emulator.add_fault("drop_after", times=1, **WRITES)
    emulator.add_fault("status", **WRITES, **NO_REQUESTS_LEFT)
    once(emulator, lambda: emulator.emulator.faults.add(no_queries), path="/composite/sobjects")
    one = Task(run_id="one")
    assert one.run(mine(tmp_path, **how)).counts == {"not_sent": COUNT}
    assert emulator.stats()["leads"] == 10
    emulator.clear_faults()
    emulator.add_fault("drop_after", probability=0.5, seed=3, **WRITES)
    another = Task(run_id="another").run(mine(tmp_path, **how))
    ran = one.run(mine(tmp_path, **how))
    assert sum(each.full["created"] for each in (another, ran)) == emulator.stats()["leads"] == COUNT
    assert not list(tmp_path.glob("**/_claimed"))


def test_rows_that_a_job_did_not_come_to_are_not_taken_for_their_own(emulator: EmulatorServer, tmp_path: Path) -> None:
    """The job failed half-way, and another process made the rest before the retry's job came."""
    emulator.change_settings(bulk_fail_after=20)
    task, how = Task(), dict[str, Any](existing="skip", api="bulk")
    assert task.run(mine(tmp_path, **how)).counts == {"created": 20, "not_sent": 40}
    emulator.change_settings(bulk_fail_after=None)
    another_makes(emulator, people(40, start=20, company=THEIRS))()
    ran = task.run(mine(tmp_path, **how))
    assert (ran.error, ran.counts) == (None, {"created": 20, "unchanged": 40})


def test_a_run_without_a_lost_answer_writes_down_what_it_sends_and_reads_nothing_back(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """Nothing is left of what it wrote down, and no known lead is written down at all."""
    noted: list[str] = []
    emulator.watch(lambda sight: noted.extend(map(str, tmp_path.glob("**/_sent/*.json"))) if _writes(sight) else None)
    first = Task(run_id="a").run(mine(tmp_path, existing="update"))
    assert first.counts == {"created": COUNT}
    assert noted
    assert not list(first.folder.glob("_sent*"))
    noted.clear()
    changed = Task(run_id="b").run(mine(tmp_path, people(COUNT, company=THEIRS), existing="update"))
    assert changed.counts == {"updated": COUNT}
    assert noted == []


def _writes(sight: Sight) -> bool:
    return sight.phase == "arrived" and "/composite/sobjects" in sight.target and sight.method == "PATCH"


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_lead_that_is_converted_just_before_it_is_written_is_left_alone(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """As the stage operator says it: unchanged, converted, with the contact that it became."""
    ids = emulator.seed_leads(leads(people(3)))
    once(emulator, lambda: convert(emulator.emulator, ids[1]), path=WRITE_OF[api])
    ran = Task().run(mine(tmp_path, people(3, company=OURS), existing="update", api=api))
    assert (ran.error, ran.counts) == (None, {"updated": 2, "unchanged": 1})
    row = ran.by_key["K-1"]
    assert (row["reason"], row["salesforce_id"]) == ("converted", ids[1])
    assert row["contact_id"] == emulator.lead(ids[1])["ConvertedContactId"]
    assert row["contact_id"]
    assert ran.rejects == []


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_lead_that_is_made_and_converted_before_it_is_written_is_left_alone(
    emulator: EmulatorServer, tmp_path: Path, api: str
) -> None:
    """The look-up saw none; the upsert met one that has become a contact."""

    def act() -> None:
        another_makes(emulator, people(1))()
        convert(emulator.emulator, list_leads(emulator.emulator)[0]["Id"])

    once(emulator, act, path=WRITE_OF[api])
    ran = Task().run(mine(tmp_path, people(3, company=OURS), existing="update", api=api))
    assert (ran.error, ran.counts) == (None, {"created": 2, "unchanged": 1})
    assert (ran.by_key["K-0"]["reason"], bool(ran.by_key["K-0"]["contact_id"])) == ("converted", True)


@pytest.mark.parametrize("key", [None, "External_Id__c"])
def test_a_lead_that_is_found_by_e_mail_is_the_row_s_own_where_its_lost_request_made_it(
    emulator: EmulatorServer, tmp_path: Path, key: str | None
) -> None:
    """A killed try had it on its way; a lead of Sales with such an address is not."""
    rows = [{**row, "mail": f"{row['key']}@example.com"} for row in people(2_010, company=OURS)]
    emulator.seed_leads([{"LastName": "By hand", "Company": "X", "Email": "K-3@example.com"}])
    how: dict[str, Any] = {"external_id_field": key, "fields": {**FIELDS, "mail": "Email"}, "match_email": True}
    task = Task()
    killed_at_write(mine(tmp_path, rows, concurrency=4, **how), task, emulator, 9)
    ran = task.run(mine(tmp_path, rows, **how))
    assert (ran.error, ran.counts) == (None, {"created": 2_009, "unchanged": 1})
    assert ran.by_key["K-3"]["action"] == "unchanged"
    assert len(emulator.leads()) == 2_010
