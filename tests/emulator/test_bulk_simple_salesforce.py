"""The emulator's Bulk API 2.0 against simple-salesforce's client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from simple_salesforce.exceptions import SalesforceOperationError

from tests.emulator.test_simple_salesforce import Client, connect

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_provider_sfleads.emulator import EmulatorServer


@pytest.fixture
def leads(emulator: EmulatorServer) -> Client:
    """Its handler of Lead."""
    return connect(emulator, "emulator-secret").bulk2.Lead


def records(*keys: str, **more: str) -> list[dict[str, str]]:
    """Leads to write."""
    return [{"LastName": "Ray", "Company": 'Acme, "Ltd"', "External_Id__c": key, **more} for key in keys]


def test_it_inserts_and_reads_the_results(leads: Client, emulator: EmulatorServer) -> None:
    """Successful, failed and unprocessed, by the paths that it uses."""
    emulator.seed_leads(records("L-2"))
    (result,) = leads.insert(records=records("L-1", "L-2", "L-3"), wait=0.01)

    assert (result["numberRecordsProcessed"], result["numberRecordsFailed"]) == (3, 1)
    assert leads.get_successful_records(result["job_id"]).count("\n") == 3
    assert "DUPLICATE_VALUE" in leads.get_failed_records(result["job_id"])
    assert leads.get_unprocessed_records(result["job_id"]).count("Company") == 1
    assert {lead["Company"] for lead in emulator.leads()} == {'Acme, "Ltd"'}


def test_it_upserts_and_updates(leads: Client, emulator: EmulatorServer) -> None:
    """By key and by id."""
    emulator.seed_leads(records("L-1"))
    leads.upsert(records=records("L-1", "L-2", City="Bonn"), external_id_field="External_Id__c", wait=0.01)
    assert [lead["City"] for lead in emulator.leads()] == ["Bonn", "Bonn"]

    leads.update(records=[{"Id": lead["Id"], "City": "#N/A"} for lead in emulator.leads()], wait=0.01)
    assert [lead["City"] for lead in emulator.leads()] == [None, None]


def test_it_is_told_why_a_job_failed(leads: Client) -> None:
    """By our errorMessage."""
    with pytest.raises(SalesforceOperationError, match="Field name not found : Nope__c"):
        leads.insert(records=records("L-1", Nope__c="1"), wait=0.01)


def test_it_queries(leads: Client, emulator: EmulatorServer, tmp_path: Path) -> None:
    """Into memory page by page, and into files."""
    emulator.seed_leads(records(*map(str, range(25))))
    pages = list(leads.query("SELECT Id, External_Id__c FROM Lead", max_records=10, wait=0.01))
    assert [page.count("\n") for page in pages] == [11, 11, 6]

    files = leads.download("SELECT Id FROM Lead", path=str(tmp_path), max_records=20, wait=0.01)
    assert [found["number_of_records"] for found in files] == [20, 5]
