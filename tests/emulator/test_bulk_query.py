from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.emulator import EmulatorServer, EmulatorSettings
from tests.emulator.bulk import Bulk, leads_csv, refusal
from tests.emulator.client import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests


def start(api: Api, soql: str, operation: str = "query") -> dict[str, Any]:
    """Create a query job."""
    reply = api.call("POST", "/jobs/query", json={"operation": operation, "query": soql})
    assert reply.status_code == 200, reply.text
    info: dict[str, Any] = reply.json()
    return info


def pages(api: Api, job_id: str, size: int) -> list[requests.Response]:
    """All pages of the results."""
    found = []
    locator = ""
    while locator != "null":
        params = {"maxRecords": str(size), **({"locator": locator} if locator else {})}
        reply = api.get(f"/jobs/query/{job_id}/results", **params)
        assert reply.status_code == 200, reply.text
        found.append(reply)
        locator = reply.headers["Sforce-Locator"]
    return found


def rows(reply: requests.Response) -> list[dict[str, str]]:
    """The records of a page."""
    return list(csv.DictReader(io.StringIO(reply.content.decode(), newline="")))


def test_a_query_job_page_by_page(api: Api, emulator: EmulatorServer) -> None:
    """UploadComplete from the start, results as CSV, each page with a header and the locator of the next."""
    seeded = emulator.seed_leads(
        [{"LastName": f"N{n}", "Company": 'A "x",\nB', "External_Id__c": f"L-{n}"} for n in range(10)]
    )
    emulator.convert_lead(seeded[3])
    emulator.delete_lead(seeded[9])
    info = start(api, "SELECT Id, Company, IsConverted, Lead_Stage__c, CreatedDate FROM Lead")
    assert (info["state"], info["jobType"]) == ("UploadComplete", "V2Query")
    emulator.finish_jobs()
    done = api.get(f"/jobs/query/{info['id']}").json()
    assert (done["state"], done["numberRecordsProcessed"]) == ("JobComplete", 9)
    found = pages(api, info["id"], 4)

    assert [reply.headers["Sforce-NumberOfRecords"] for reply in found] == ["4", "4", "1"]
    records = [row for reply in found for row in rows(reply)]
    assert [row["Id"] for row in records] == seeded[:9]
    assert records[3]["IsConverted"] == "true"
    assert (records[0]["Company"], records[0]["Lead_Stage__c"]) == ('A "x",\nB', "")
    assert records[0]["CreatedDate"].endswith(".000Z")
    assert len(rows(api.get(f"/jobs/query/{info['id']}/results"))) == 9
    deleted = start(api, "SELECT Id FROM Lead", "queryAll")
    emulator.finish_jobs()
    assert len(rows(pages(api, deleted["id"], 100)[0])) == 10


def test_query_jobs_that_cannot_be(api: Api) -> None:
    """Refused before there is one."""

    def refused(**body: str) -> tuple[int, str]:
        return refusal(api.call("POST", "/jobs/query", json=body))

    assert refused(operation="query", query="SELECT COUNT() FROM Lead") == (400, "API_ERROR")
    assert refused(operation="query", query="SELECT Nope FROM Lead") == (400, "INVALID_FIELD")
    assert refused(operation="query", query="SELECT Id Lead") == (400, "MALFORMED_QUERY")
    assert refused(operation="insert", query="SELECT Id FROM Lead") == (400, "INVALIDJOB")
    assert refused(operation="query") == (400, "INVALIDJOB")


def test_what_may_be_done_with_a_query_job(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Aborted while it runs, read when it is complete, deleted at the end; and it is no ingest job."""
    api = bulk.api
    emulator.change_settings(bulk_delay=60.0)
    job = start(api, "SELECT Id FROM Lead")
    path = f"/jobs/query/{job['id']}"
    assert refusal(api.get(f"{path}/results")) == (400, "INVALIDJOBSTATE")
    assert refusal(api.get(path.replace("query", "ingest"))) == (404, "NOT_FOUND")
    assert refusal(api.call("PATCH", path, json={"state": "UploadComplete"})) == (400, "INVALIDJOBSTATE")
    assert api.call("PATCH", path, json={"state": "Aborted"}).json()["state"] == "Aborted"
    assert refusal(api.call("PATCH", path, json={"state": "Aborted"})) == (400, "INVALIDJOBSTATE")
    assert api.call("DELETE", path).status_code == 204
    assert refusal(api.get(path)) == (404, "NOT_FOUND")


def test_results_are_read_with_the_version_of_the_job(api: Api, emulator: EmulatorServer) -> None:
    """Another version is a conflict; a locator is one that was given."""
    job_id = start(api, "SELECT Id FROM Lead")["id"]
    emulator.finish_jobs()

    assert refusal(Api(emulator, version="61.0").login().get(f"/jobs/query/{job_id}/results"))[0] == 409
    wrong = api.get(f"/jobs/query/{job_id}/results", locator="!")
    assert refusal(wrong) == (400, "INVALID_QUERY_LOCATOR")


@pytest.fixture
def counted() -> Iterator[Bulk]:
    """An org that counts, and holds 25,000 leads that are numbers."""
    with EmulatorServer(EmulatorSettings(counting=True, virtual_leads=25_000)) as server:
        yield Bulk(Api(server).login())


def test_rows_can_be_counted_only(counted: Bulk) -> None:
    """Each succeeds with an id of its own, and the results echo it; nothing is kept."""
    text = leads_csv(*range(12_000), Description="one\ntwo")
    first, second = (counted.run(text, "upsert", externalIdFieldName="External_Id__c") for _ in range(2))
    results = [row for info in (first, second) for row in counted.results(info["id"], "successfulResults")]

    assert (first["numberRecordsProcessed"], first["numberRecordsFailed"]) == (12_000, 0)
    assert len({row["sf__Id"] for row in results}) == 24_000
    assert {row["External_Id__c"] for row in results} == {str(number) for number in range(12_000)}
    assert {row["sf__Created"] for row in results} == {"true"}
    assert {row["Description"] for row in results} == {"one\ntwo"}
    assert [row["External_Id__c"] for row in results[:100]] != [str(number) for number in range(100)]
    assert counted.api.server.stats()["leads"] == 0


@pytest.mark.parametrize("content", ["Id,Lead_Stage__c\n{0},MQL\n", 'Lead_Stage__c,Id\n"a,b",{0}\n', '"Id"\n"{0}"\n'])
def test_counted_updates_keep_their_ids(counted: Bulk, content: str) -> None:
    """Wherever the id stands in the row."""
    lead_id = "00Q5g0000000007EAA"
    info = counted.run(content.format(lead_id), "update")
    (row,) = counted.results(info["id"], "successfulResults")

    assert (row["sf__Id"], row["Id"], row["sf__Created"]) == (lead_id, lead_id, "false")


def test_a_counted_job_can_end_half_way(counted: Bulk) -> None:
    """Its results say so like any other's."""
    counted.api.server.change_settings(bulk_fail_after=7_000)
    info = counted.run(leads_csv(*range(10_000)))

    assert counted.counts(info["id"]) == (7_000, 0, 3_000)
    counted.api.server.change_settings(bulk_fail_after=None, bulk_rate=100.0)
    job_id = counted.start(leads_csv(*range(10_000)))
    assert counted.wait(job_id, "InProgress")["numberRecordsProcessed"] < 10_000
    counted.api.server.finish_jobs()
    assert counted.info(job_id)["numberRecordsProcessed"] == 10_000


def test_virtual_leads_can_be_looked_up(counted: Bulk) -> None:
    """By a count, by id, by key, and all of them by a query job."""
    api = counted.api
    assert api.get("/query", q="SELECT COUNT() FROM Lead WHERE External_Id__c != null").json()["totalSize"] == 25_000
    (found,) = api.query("SELECT Id, Lead_Stage__c FROM Lead WHERE External_Id__c IN ('k-0000007', 'K-0025001', 'x')")
    body = {"ids": [found["Id"], "00Q5g0000009999EAA"], "fields": ["External_Id__c", "IsConverted"]}
    one, none = api.call("POST", "/composite/sobjects/Lead", json=body).json()
    job_id = start(api, "SELECT Id, External_Id__c, IsConverted, Lead_Stage__c FROM Lead")["id"]
    api.server.finish_jobs()
    all_rows = [row for reply in pages(api, job_id, 10_000) for row in rows(reply)]

    assert found["Lead_Stage__c"] is None
    assert (one["External_Id__c"], one["IsConverted"], none) == ("K-0000007", False, None)
    assert len({row["Id"] for row in all_rows}) == 25_000
    assert all_rows[6] == {"Id": found["Id"], "External_Id__c": "K-0000007", "IsConverted": "false",
                           "Lead_Stage__c": ""}  # fmt: skip
