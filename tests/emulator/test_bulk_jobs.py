from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_provider_sfleads.emulator import EmulatorServer
from tests.emulator.bulk import KINDS, Bulk, leads_csv, refusal
from tests.emulator.client import Api

if TYPE_CHECKING:
    from pathlib import Path


KEY = {"externalIdFieldName": "External_Id__c"}


def test_the_life_of_a_job(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Open, upload, close, wait, collect; each step says what the reference says."""
    made = bulk.create("upsert", **KEY).json()
    assert (made["state"], made["jobType"], made["concurrencyMode"], made["apiVersion"]) == (
        "Open", "V2Ingest", "Parallel", 60.0)  # fmt: skip
    assert made["contentUrl"] == f"services/data/v60.0/jobs/ingest/{made['id']}/batches"
    assert made["id"].startswith("750")
    assert "numberRecordsProcessed" not in bulk.info(made["id"])

    uploaded = bulk.upload(made["id"], leads_csv(1, 2))
    assert (uploaded.status_code, uploaded.content) == (201, b"")
    closed = bulk.set_state(made["id"], "UploadComplete").json()
    assert closed["state"] == "UploadComplete"
    assert "contentUrl" not in closed

    done = bulk.wait(made["id"], "JobComplete")
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"], done["retries"]) == (2, 0, 0)
    assert bulk.counts(made["id"]) == (2, 0, 0)
    assert emulator.stats()["leads"] == 2
    assert bulk.api.call("DELETE", f"/jobs/ingest/{made['id']}").status_code == 204
    assert refusal(bulk.api.get(f"/jobs/ingest/{made['id']}")) == (404, "NOT_FOUND")
    assert list(emulator.emulator.jobs.folder.iterdir()) == []


def test_a_job_goes_by_its_short_id_too(bulk: Bulk) -> None:
    """As every record does."""
    assert bulk.info(bulk.open()[:15])["state"] == "Open"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"operation": "merge"}, "INVALIDJOB"),
        ({"operation": "hardDelete"}, "FEATURENOTENABLED"),
        ({"operation": "upsert"}, "INVALIDJOB"),
        ({"operation": "upsert", "externalIdFieldName": "LastName"}, "INVALIDJOB"),
        ({"operation": "insert", "externalIdFieldName": "External_Id__c"}, "INVALIDJOB"),
        ({"object": "Contact"}, "INVALIDENTITY"),
        ({"contentType": "JSON"}, "INVALIDJOB"),
        ({"lineEnding": "CR"}, "INVALIDJOB"),
        ({"columnDelimiter": ","}, "INVALIDJOB"),
        ({"assignmentRuleId": "005000000000000"}, "INVALIDJOB"),
    ],
)
def test_a_job_that_cannot_be_is_refused(bulk: Bulk, changes: dict[str, str], code: str) -> None:
    """Before there is one."""
    assert refusal(bulk.create(**{"operation": "insert", **changes})) == (400, code)
    assert bulk.api.server.jobs() == []


def test_what_may_be_done_in_which_state(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Closing, aborting, uploading and deleting at the wrong time are refused, and change nothing."""
    emulator.change_settings(bulk_delay=60.0)
    state = (400, "INVALIDJOBSTATE")
    job_id = bulk.open()
    assert refusal(bulk.set_state(job_id, "UploadComplete")) == (400, "INVALIDJOB")
    assert refusal(bulk.set_state(job_id, "JobComplete")) == state
    assert refusal(bulk.api.call("DELETE", f"/jobs/ingest/{job_id}")) == state
    bulk.upload(job_id, leads_csv(1))
    bulk.set_state(job_id, "UploadComplete")
    assert bulk.set_state(job_id, "UploadComplete").status_code == 200
    assert refusal(bulk.upload(job_id, leads_csv(2))) == state
    assert refusal(bulk.api.get(f"/jobs/ingest/{job_id}/successfulResults")) == state

    emulator.finish_jobs()
    closing, aborting = bulk.set_state(job_id, "UploadComplete"), bulk.set_state(job_id, "Aborted")
    assert (refusal(closing), refusal(aborting)) == (state, state)
    assert aborting.json()[0]["message"] == "Aborting already Completed Job not allowed"
    assert bulk.info(job_id)["state"] == "JobComplete"


def test_the_content_is_uploaded_once(bulk: Bulk) -> None:
    """A second upload is taken, and then the job cannot be closed any more."""
    job_id = bulk.open()
    assert [bulk.upload(job_id, leads_csv(n)).status_code for n in (1, 2)] == [201, 201]
    reply = bulk.set_state(job_id, "UploadComplete")

    assert refusal(reply) == (400, "INVALIDJOB")
    assert "only do 'PUT' once" in reply.json()[0]["message"]
    assert bulk.set_state(job_id, "Aborted").json()["state"] == "Aborted"


def test_an_upload_may_be_too_large_empty_or_no_csv(bulk: Bulk, emulator: EmulatorServer) -> None:
    """None of which is kept, so that a right one can follow."""
    emulator.change_settings(bulk_upload_limit=200)
    job_id = bulk.open()
    wrong_type = bulk.api.call("PUT", f"/jobs/ingest/{job_id}/batches", data=b"x", headers={"Content-Type": "text/x"})

    assert refusal(bulk.upload(job_id, leads_csv(*range(100)))) == (413, "EXCEEDED_MAX_SIZE_REQUEST")
    assert refusal(bulk.upload(job_id, "")) == (400, "INVALIDJOB")
    assert refusal(wrong_type) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert bulk.upload(job_id, leads_csv(1)).status_code == 201
    assert bulk.set_state(job_id, "UploadComplete").status_code == 200


def test_a_small_job_in_one_call(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Multipart: created, uploaded and closed at once; line breaks come through as they are."""
    content = leads_csv(1, Description="a\nb") + "\n"
    reply = multipart(bulk.api, content[:-1])
    assert (reply.status_code, reply.json()["state"]) == (200, "UploadComplete")
    emulator.finish_jobs()
    assert bulk.counts(reply.json()["id"]) == (1, 0, 0)
    assert emulator.leads()[0]["Description"] == "a\nb"

    assert refusal(multipart(bulk.api, leads_csv(*range(9000)))) == (400, "LIMIT_EXCEEDED")
    assert len(emulator.jobs()) == 1


def multipart(api: Api, content: str) -> requests.Response:
    """Create a job with its content."""
    job = '{"object":"Lead","operation":"insert","contentType":"CSV","lineEnding":"LF"}'
    files = {"job": (None, job, "application/json"), "content": ("content", content, "text/csv")}
    return api.call("POST", "/jobs/ingest", files=files)


def test_all_jobs_page_by_page(bulk: Bulk, emulator: EmulatorServer) -> None:
    """In no order that means anything, query jobs not among them."""
    emulator.change_settings(bulk_list_page_size=3)
    ids = [bulk.open() for _ in range(7)]
    bulk.api.call("POST", "/jobs/query", json={"operation": "query", "query": "SELECT Id FROM Lead"})
    found: list[dict[str, Any]] = []
    page = bulk.api.get("/jobs/ingest", jobType="V2Ingest").json()
    while not page["done"]:
        found += page["records"]
        page = bulk.api.session.get(emulator.url + page["nextRecordsUrl"], timeout=10).json()
    found += page["records"]

    assert page["nextRecordsUrl"] is None
    assert sorted(job["id"] for job in found) == ids
    assert {job["state"] for job in found} == {"Open"}
    assert bulk.api.get("/jobs/ingest", jobType="Classic").json()["records"] == []
    assert len(bulk.api.get("/jobs/query").json()["records"]) == 1


def test_calls_count_and_are_logged(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Each call is an API request; uploads and results say how many records they held."""
    before = emulator.stats()["api_used"]
    job = bulk.run(leads_csv(*range(5)))
    bulk.results(job["id"], "successfulResults")

    assert emulator.stats()["api_used"] - before == 5
    records = {entry["method"]: entry["records"] for entry in emulator.requests()[-5:]}
    assert (records["PUT"], records["GET"]) == (5, 5)
    assert emulator.stats()["records"]["PUT /services/data/v{version}/jobs/ingest/{id}/batches"] == 5
    summary = emulator.jobs()[0]
    assert (summary["state"], summary["rows"], summary["processed"], summary["failed"]) == ("JobComplete", 5, 5, 0)
    emulator.reset()
    assert emulator.jobs() == []
    assert refusal(bulk.api.login().get(f"/jobs/ingest/{job['id']}")) == (404, "NOT_FOUND")


def test_jobs_survive_a_restart(tmp_path: Path) -> None:
    """With a file for the leads: what was done stays done, and the rest goes on."""
    with EmulatorServer(db=tmp_path / "org.db") as server:
        server.change_settings(bulk_rate=400.0)
        bulk = Bulk(Api(server).login())
        job_id = bulk.start(leads_csv(*range(1000)))
        done = bulk.wait(job_id, "InProgress")
        while done["numberRecordsProcessed"] == 0:
            done = bulk.info(job_id)
    with EmulatorServer(db=tmp_path / "org.db") as server:
        server.finish_jobs()
        bulk = Bulk(Api(server).login())
        assert bulk.info(job_id)["numberRecordsProcessed"] == 1000
        assert len({row["External_Id__c"] for row in bulk.results(job_id, KINDS[0])}) == 1000
        assert server.stats()["leads"] == 1000
        assert bulk.open() > job_id


SETUP = "/lightning/setup/AsyncApiJobStatus"


@pytest.mark.parametrize("path", ["/jobs", f"{SETUP}/home", f"{SETUP}/page", f"{SETUP}/page?address=%2F750"])
def test_a_page_shows_the_jobs(bulk: Bulk, emulator: EmulatorServer, path: str) -> None:
    """State, counts and progress; it comes again by itself while there is something to see."""

    def page() -> str:
        return bulk.api.session.get(emulator.url + path, timeout=10).text

    assert "No jobs yet" in page()
    bulk.run(leads_csv(*range(1200)))
    bulk.run("<script>,Company\nx,y\n")
    shown = page()
    assert '<progress max="1200" value="1200">' in shown
    assert "Field name not found : &lt;script&gt;" in shown
    assert 'http-equiv="refresh"' not in shown
    emulator.change_settings(bulk_delay=60.0)
    bulk.start(leads_csv(1))
    assert 'http-equiv="refresh"' in page()


def test_a_job_has_a_page_of_its_own(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Where Salesforce has it, and the list leads there; the page comes again by itself while the job is at work."""

    def page(job_id: str) -> requests.Response:
        return requests.get(f"{emulator.url}{SETUP}/page?address=%2F{job_id}", timeout=10)

    good, bad = bulk.run(leads_csv(*range(1200))), bulk.run("<script>,Company\nx,y\n")
    shown = page(good["id"])
    assert (shown.status_code, good["id"] in shown.text, bad["id"] in shown.text) == (200, True, False)
    assert '<progress max="1200" value="1200">' in shown.text
    assert 'http-equiv="refresh"' not in shown.text
    assert "Field name not found : &lt;script&gt;" in page(bad["id"]).text
    assert f'href="{SETUP}/page?address=%2F{bad["id"]}"' in requests.get(f"{emulator.url}/jobs", timeout=10).text
    emulator.change_settings(bulk_delay=60.0)
    assert 'http-equiv="refresh"' in page(bulk.start(leads_csv(1))).text


@pytest.mark.parametrize("odd", ["7505g00000XyZaBAAV", "%3Cscript%3E", "..%2Fjobs"])
def test_there_is_no_page_of_a_job_that_is_not_there(emulator: EmulatorServer, odd: str) -> None:
    """It says so, and leads to those there are."""
    reply = requests.get(f"{emulator.url}{SETUP}/page?address=%2F{odd}", timeout=10)
    assert reply.status_code == 404
    assert 'There is no job with this id. <a href="/jobs">' in reply.text
    assert "<script" not in reply.text


def test_the_control_api_knows_jobs(bulk: Bulk, emulator: EmulatorServer) -> None:
    """List, finish, fail."""
    emulator.change_settings(bulk_delay=60.0)
    first, second = bulk.start(leads_csv(1)), bulk.start(leads_csv(2))
    base = f"{emulator.url}/_emulator/jobs"
    post = bulk.api.session.post
    assert post(f"{base}/{second}/fail", json={"message": "X : y"}, timeout=10).json() == {"failed": True}
    assert post(f"{base}/{second}/fail", timeout=10).status_code == 400
    finished = post(f"{base}/finish", timeout=10).json()

    assert [(job["id"], job["state"], job["error_message"]) for job in finished] == [
        (first, "JobComplete", None),
        (second, "Failed", "X : y"),
    ]
    assert bulk.api.session.get(base, timeout=10).json() == finished == emulator.jobs()
