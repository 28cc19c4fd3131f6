"""Leads are read from the emulator over HTTP: by id, by key and by a query job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep

from airflow_provider_sfleads.emulator import EmulatorServer
from airflow_provider_sfleads.emulator.settings import EmulatorSettings
from airflow_provider_sfleads.pipeline.lookup import Reading
from airflow_provider_sfleads.pipeline.lookup_sources import Wanted, query_leads, read_leads
from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.host import parse_host
from airflow_provider_sfleads.salesforce.settings import Settings
from tests.pipeline.runs import describe

FIELDS = ("Id", "External_Id__c", "LastName", "IsConverted", "ConvertedContactId", "AnnualRevenue", "CreatedDate")


@contextmanager
def client_of(server: EmulatorServer) -> Iterator[Client]:
    """A client of the emulator."""
    settings = Settings(
        host=parse_host(server.url),
        consumer_key=server.settings.client_id,
        consumer_secret=server.settings.client_secret,
    )
    client = Client(settings)
    yield client
    client.close()


def reading(client: Client, folder: Path) -> Reading:
    """What a look-up reads with."""
    return Reading(
        send=client.send,
        download=client.download,
        conn_id="sf",
        concurrency=2,
        directory=folder,
        pause=lambda seconds: sleep(min(seconds, 0.05)),
        stopped=lambda: False,
    )


def wanted(ids: list[str], keys: list[str]) -> Wanted:
    """Leads by id or key."""
    return Wanted(
        fields=FIELDS,
        ids=lambda: iter(ids),
        id_count=len(ids),
        external=describe().find("External_Id__c") if keys else None,
        keys=lambda: iter(keys),
        key_count=len(keys),
        key_bytes=sum(map(len, keys)),
    )


def test_every_source_says_the_same(tmp_path: Path) -> None:
    """What a value looks like in JSON and in CSV differs, and what it is does not."""
    with EmulatorServer(EmulatorSettings()) as server, client_of(server) as client:
        names = ['Ray\n"Mond", Jr.', "O'Poe", "é", "x"]
        records = [
            {"External_Id__c": f"k{place}", "LastName": name, "Company": "Acme", "AnnualRevenue": place or None}
            for place, name in enumerate(names)
        ]
        assert client.send(PageKind(operation="insert").call(records)).taken
        tools = reading(client, tmp_path)
        by_key = [row for batch in read_leads(tools, wanted([], ["k0", "K1", "k2", "k3"])) for row in batch.to_pylist()]
        ids = [row["Id"] for row in by_key]
        by_id = [row for batch in read_leads(tools, wanted(ids, [])) for row in batch.to_pylist()]
        by_job = query_leads(tools, f"SELECT {', '.join(FIELDS)} FROM Lead", FIELDS)  # noqa: S608
        assert by_job is not None
        from_csv = [row for batch in by_job for row in batch.to_pylist()]
    assert [row["LastName"] for row in by_key] == names
    assert by_id == by_key
    assert [{**row, "AnnualRevenue": None, "CreatedDate": None} for row in from_csv] == [
        {**row, "AnnualRevenue": None, "CreatedDate": None} for row in by_key
    ]
    assert [float(row["AnnualRevenue"] or 0) for row in from_csv] == [0, 1, 2, 3]
    assert not list(tmp_path.iterdir())


def test_many_leads_come_by_a_query_job(tmp_path: Path) -> None:
    """Sixty thousand leads take a handful of calls, and no job is left."""
    with (
        EmulatorServer(EmulatorSettings(counting=True, virtual_leads=60_000)) as server,
        client_of(server) as client,
    ):
        ids = [f"00Q{place}" for place in range(60_000)]
        batches = list(read_leads(reading(client, tmp_path), wanted(ids, [])))
        assert sum(batch.num_rows for batch in batches) == 60_000
        assert client.api_calls <= 25
    assert not list(tmp_path.iterdir())
