"""Rows of a bulk run that go page by page after all: each lead once, whichever way a row names it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import Record, Rows, leads, moving, people, run

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")

APART: Record = {"note": "#N/A"}
MORE: dict[str, Any] = {"api": "bulk", "lead_id": "id", "fields": {"note": "Description"}}


@pytest.mark.parametrize("is_locked", [False, True], ids=["cannot be carried by Bulk", "was locked in its job"])
def test_a_lead_that_is_given_by_its_id_is_not_found_for_another_row(
    emulator: EmulatorServer, tmp_path: Path, *, is_locked: bool
) -> None:
    """The id that the export gives counts, whatever put its row apart."""
    lead_id = emulator.seed_leads(leads(people(1)))[0]
    given: Record = {"key": "other", "id": lead_id, "note": f"#{lead_id}"} | ({} if is_locked else APART)
    if is_locked:
        emulator.add_fault("lock", key=f"#{lead_id}")
    ran = run(moving(Rows([given, {"key": "K-0", "id": None, **APART}]), tmp_path, **MORE))

    assert (ran.error, ran.counts) == (None, {"updated": 1, "duplicate_keys": 1})
    assert ran.by_key["K-0"]["action"] == "duplicate_key"
    assert {row["salesforce_id"] for row in ran.rows} == {lead_id}


def test_a_lead_that_a_job_moved_is_not_moved_again_for_a_row_of_the_tail(
    emulator: EmulatorServer, tmp_path: Path
) -> None:
    """The id of the row that went by the job is the export's, too."""
    ids = emulator.seed_leads(leads(people(2)))
    rows = [{"key": "other", "id": ids[0], "note": "x"}, {"key": "K-0", "id": None, **APART}]
    ran = run(moving(Rows(rows), tmp_path, **MORE))

    assert (ran.error, ran.counts) == (None, {"updated": 1, "duplicate_keys": 1})
    assert emulator.lead(ids[0])["Description"] == "x"


@pytest.mark.parametrize("api", ["auto", "bulk"])
def test_a_row_that_two_look_ups_find_the_same_lead_for_is_no_duplicate_of_itself(
    api: str, emulator: EmulatorServer, tmp_path: Path
) -> None:
    """It was looked up for a job, and is looked up again where it goes page by page: too few, or locked."""
    emulator.seed_leads([*leads(people(2_100), Lead_Stage__c="MQL"), *leads(people(9, start=2_100))])
    if api == "bulk":
        emulator.add_fault("lock", key="^n-210", count=2)
    rows = [{**row, "id": None, "note": f"n-{n}"} for n, row in enumerate(people(2_109))]
    ran = run(moving(rows, tmp_path, **MORE | {"api": api}))

    assert (ran.error, ran.counts) == (None, {"unchanged": 2_100, "updated": 9})
