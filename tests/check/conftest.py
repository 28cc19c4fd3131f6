"""An org with a few leads, and a check of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.check.command import Contract, carry_out
from airflow_provider_sfleads.check.probe import CheckOptions, Org, State, Timeouts
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.settings import Settings

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

ALL = CheckOptions(
    external_id_field="External_Id__c",
    stage_field="Lead_Stage__c",
    match_email=True,
    fields=("Phone", "LeadSource"),
)
Check = Callable[..., Contract]


def people(count: int) -> list[dict[str, Any]]:
    """Leads as they are in Salesforce."""
    return [
        {
            "LastName": f"Quillfeather-{n}",
            "FirstName": f"Zebulon{n}",
            "Company": f"Ostrich & Sons {n}",
            "Email": f"z.quillfeather{n}@ostrich.example",
            "Phone": f"+49 171 555 01{n:02}",
            "External_Id__c": f"WH-{n}-OSTRICH",
            "Lead_Stage__c": "Lead",
        }
        for n in range(count)
    ]


def client_of(url: str, **settings: Any) -> Client:
    """A client that does not wait between attempts."""
    given = {"consumer_key": "emulator-key", "consumer_secret": "emulator-secret", **settings}
    return Client(Settings(host=parse_host(url, None, None), **given), sleep=lambda _seconds: None)


@pytest.fixture
def check(emulator: EmulatorServer) -> Check:
    """Checks the emulator for all that can be wanted; it has seven leads by then, and four contacts."""
    emulator.seed_leads(people(7))
    emulator.seed_contacts([{"LastName": "Bird", "Email": each["Email"]} for each in people(4)])

    def run(
        options: CheckOptions = ALL, *, job_timeout: float = 60.0, write: bool = False, **settings: Any
    ) -> Contract:
        client = client_of(emulator.url, **settings)
        try:
            return carry_out(Org(client, options, Timeouts(query=job_timeout)), write=write)
        finally:
            client.close()

    return run


def broken(contract: Contract) -> set[str]:
    """The names of what does not hold."""
    return set(contract.named(State.BROKEN))


def untried(contract: Contract) -> set[str]:
    """The names of what was not tried."""
    return set(contract.named(State.NOT_TRIED))
