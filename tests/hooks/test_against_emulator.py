from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.exceptions import OutcomeUnknownError
from airflow_provider_sfleads.hooks.salesforce import SalesforceLeadsHook
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.replies import duplicate_id
from airflow_provider_sfleads.salesforce.settings import Settings
from airflow_provider_sfleads.salesforce.soql import in_queries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_sfleads.emulator import EmulatorServer


class Quick(SalesforceLeadsHook):
    """A hook that does not wait between attempts."""

    def _make_client(self, settings: Settings) -> Client:
        return Client(settings, sleep=lambda _seconds: None)


@pytest.fixture
def hook(salesforce_conn: str) -> Iterator[SalesforceLeadsHook]:
    """A hook whose connection leads to the emulator."""
    hook = Quick(salesforce_conn)
    yield hook
    hook.client.close()


def leads(count: int) -> list[dict[str, object]]:
    """Leads that Salesforce takes, numbered."""
    return [{"LastName": f"Ray {n}", "Company": "Acmé 李", "External_Id__c": f"L-{n}"} for n in range(count)]


def test_the_test_button_is_green(hook: SalesforceLeadsHook) -> None:
    """Token, describe and usage of the emulator are what the check expects."""
    good, text = hook.test_connection()
    assert good, text
    assert "API requests used" in text
    assert text.endswith("run: python -m airflow_provider_sfleads.check CONNECTION_ID")


def test_leads_go_in_are_found_and_are_read_back(emulator: EmulatorServer, hook: SalesforceLeadsHook) -> None:
    """Create, query by many keys, get, update and upsert speak the same wire as the emulator."""
    created = hook.create(leads(450))
    assert all(result.success and result.created is not False for result in created)
    ids = [result.id or "" for result in created]
    keys = [str(lead["External_Id__c"]) for lead in leads(450)]
    found: dict[str, str] = {}
    for soql, _ in in_queries(["Id", "External_Id__c"], "Lead", "External_Id__c", keys):
        found |= {row["External_Id__c"]: row["Id"] for row in hook.query(soql)}
    assert [found[key] for key in keys] == ids
    rows = hook.get([*ids, "00Q000000000000AAA"], ["Id", "Company"])
    assert [row["Company"] if row else None for row in rows] == ["Acmé 李"] * 450 + [None]
    assert all(result.success for result in hook.update([{"id": ids[0], "Company": "B\n'\"\u2028\x85"}]))
    [one] = hook.get(ids[:1], ["Company"])
    assert (one or {})["Company"] == "B\n'\"\u2028\x85"
    assert [result.created for result in hook.upsert(leads(451)[449:], "External_Id__c")] == [False, True]
    assert emulator.stats()["leads"] == 451
    assert hook.client.token_requests == 1


def test_a_duplicate_names_the_lead_that_is_there(hook: SalesforceLeadsHook) -> None:
    """The id comes out of the emulator's DUPLICATE_VALUE message."""
    [first] = hook.create(leads(1))
    [second] = hook.create(leads(1))
    assert not second.success
    assert duplicate_id(second.errors[0]) == first.id


def test_a_create_cut_off_after_the_commit_is_not_sent_again(
    emulator: EmulatorServer, hook: SalesforceLeadsHook
) -> None:
    """The lead exists once, and the hook says that it does not know."""
    emulator.add_fault("drop_after", method="POST", path="/composite/sobjects")
    with pytest.raises(OutcomeUnknownError):
        hook.create(leads(1))
    assert emulator.stats()["leads"] == 1


def test_an_upsert_cut_off_after_the_commit_is_repeated(emulator: EmulatorServer, hook: SalesforceLeadsHook) -> None:
    """The repeat changes nothing, and does not claim to have updated what it may have created."""
    hook.limits()
    emulator.add_fault("drop_after", method="PATCH", path="/composite/sobjects", nth=1)
    [result] = hook.upsert(leads(1), "External_Id__c")
    assert (result.success, result.created) == (True, None)
    assert emulator.stats()["leads"] == 1
