from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests

from tests.emulator.bulk import KINDS, Bulk, leads_csv, refusal
from tests.emulator.client import Api

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


def keys(bulk: Bulk, job_id: str, kind: str) -> list[str]:
    """The keys of a result, in its order."""
    return [row["External_Id__c"] for row in bulk.results(job_id, kind)]


def test_a_job_takes_its_time(bulk: Bulk, emulator: EmulatorServer) -> None:
    """It waits, then goes on at the rate that is set, in the background."""
    emulator.change_settings(bulk_rate=400.0, bulk_delay=1.0)
    started = time.monotonic()
    job_id = bulk.start(leads_csv(*range(600)))
    assert bulk.info(job_id)["state"] == "UploadComplete"
    seen = {bulk.wait(job_id, "InProgress")["numberRecordsProcessed"]}
    while (info := bulk.info(job_id))["state"] == "InProgress":
        seen.add(info["numberRecordsProcessed"])

    assert seen <= {0, 200, 400}
    assert len(seen) > 1
    assert time.monotonic() - started > 2.45
    assert info["numberRecordsProcessed"] == 600


def test_jobs_run_side_by_side(bulk: Bulk, emulator: EmulatorServer) -> None:
    """None waits for the end of another."""
    emulator.change_settings(bulk_rate=20.0)
    ids = [bulk.start(leads_csv(*range(n, n + 400))) for n in (0, 1000)]
    both = [bulk.wait(job_id, "InProgress")["state"] for job_id in ids]

    assert both == ["InProgress", "InProgress"]
    emulator.finish_jobs()
    assert [bulk.info(job_id)["numberRecordsProcessed"] for job_id in ids] == [400, 400]


def test_an_aborted_job_keeps_what_it_wrote(bulk: Bulk, emulator: EmulatorServer) -> None:
    """The rest is unprocessed, and not one row is in two results."""
    emulator.change_settings(bulk_rate=200.0)
    job_id = bulk.start(leads_csv(*range(1000)))
    while bulk.info(job_id).get("numberRecordsProcessed", 0) < 200:
        time.sleep(0.005)
    assert bulk.set_state(job_id, "Aborted").json()["state"] == "Aborted"
    done, failed, left = (set(keys(bulk, job_id, kind)) for kind in KINDS)

    assert len(done) == emulator.stats()["leads"] == bulk.info(job_id)["numberRecordsProcessed"]
    assert done
    assert not failed
    assert done | left == {str(number) for number in range(1000)}
    assert len(done) + len(left) == 1000
    assert bulk.raw(job_id, "unprocessedrecords").startswith("LastName,Company,External_Id__c\n")


def test_an_open_job_can_be_aborted_and_deleted(bulk: Bulk) -> None:
    """With nothing in its results."""
    job_id = bulk.open()
    bulk.set_state(job_id, "Aborted")

    assert [bulk.raw(job_id, kind) for kind in KINDS] == ["", "", ""]
    assert bulk.api.call("DELETE", f"/jobs/ingest/{job_id}").status_code == 204


def test_a_job_can_fail_half_way(bulk: Bulk, emulator: EmulatorServer) -> None:
    """By itself after so many rows, or by hand."""
    emulator.change_settings(bulk_fail_after=250)
    info = bulk.run(leads_csv(*range(400), "399"))
    assert (info["state"], info["numberRecordsProcessed"]) == ("Failed", 250)
    assert info["errorMessage"]
    assert bulk.counts(info["id"]) == (250, 0, 151)

    emulator.change_settings(bulk_fail_after=None, bulk_delay=60.0)
    job_id = bulk.start(leads_csv("x"))
    emulator.fail_job(job_id, "InternalServerError : by hand")
    assert bulk.info(job_id)["errorMessage"] == "InternalServerError : by hand"
    assert bulk.counts(job_id) == (0, 0, 1)
    with pytest.raises(LookupError):
        emulator.fail_job(job_id)


def test_rows_beyond_the_daily_batches_get_no_result(bulk: Bulk, emulator: EmulatorServer) -> None:
    """The job is complete all the same."""
    emulator.change_settings(bulk_batch_rows=100, bulk_batch_limit=3)
    info = bulk.run(leads_csv(*range(350)))

    assert (info["state"], info["numberRecordsProcessed"]) == ("JobComplete", 300)
    assert bulk.counts(info["id"]) == (300, 0, 0)
    assert bulk.api.get("/limits").json()["DailyBulkApiBatches"] == {"Max": 3, "Remaining": 0}


def test_results_come_in_no_order_unless_asked_for(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Shuffled in the same way each time; by upload where a test wants that."""
    rows = [str(number) for number in range(300)]
    job_id = bulk.run(leads_csv(*rows))["id"]
    first = keys(bulk, job_id, "successfulResults")
    assert first != rows
    assert sorted(first) == sorted(rows)
    assert keys(bulk, job_id, "successfulResults") == first

    emulator.change_settings(bulk_result_order="upload")
    assert keys(bulk, job_id, "successfulResults") == rows


def test_many_clients_and_one_worker(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Polls are answered while rows are written, and no row is lost or doubled."""
    with ThreadPoolExecutor(6) as pool:
        jobs = list(pool.map(lambda n: Bulk(Api(emulator).login()).start(leads_csv(*range(n, n + 500))),
                             range(0, 3000, 500)))  # fmt: skip
    infos = [bulk.wait(job_id, "JobComplete") for job_id in jobs]

    assert [info["numberRecordsProcessed"] for info in infos] == [500] * 6
    assert emulator.stats()["leads"] == 3000


def test_an_upload_can_be_lost_before_and_after(bulk: Bulk, emulator: EmulatorServer) -> None:
    """Lost before, it can be repeated; lost after, the repeat is one too many."""
    emulator.add_fault("drop_before", method="PUT", path="/batches", nth=1)
    job_id = bulk.open()
    with pytest.raises(requests.ConnectionError):
        bulk.upload(job_id, leads_csv(1))
    assert emulator.jobs()[0]["uploads"] == 0
    assert bulk.upload(job_id, leads_csv(1)).status_code == 201

    emulator.add_fault("drop_after", method="PATCH", path="/jobs/ingest/", nth=1)
    with pytest.raises(requests.ConnectionError):
        bulk.set_state(job_id, "UploadComplete")
    assert bulk.wait(job_id, "JobComplete")["numberRecordsProcessed"] == 1
    assert refusal(bulk.set_state(job_id, "UploadComplete")) == (400, "INVALIDJOBSTATE")


def test_a_fault_can_be_tied_to_what_is_uploaded(bulk: Bulk, emulator: EmulatorServer) -> None:
    """The file is searched as other bodies are."""
    emulator.add_fault("html_503", body="poison")
    job_id = bulk.open()

    assert bulk.upload(job_id, leads_csv("poison")).status_code == 503
    assert bulk.upload(job_id, leads_csv("sugar")).status_code == 201
    assert [path.suffix for path in emulator.emulator.jobs.folder.iterdir()] == [".csv"]


def test_half_an_upload_is_none(bulk: Bulk, emulator: EmulatorServer, caplog: pytest.LogCaptureFixture) -> None:
    """As when the client is killed in the middle of it."""
    job_id = bulk.open()
    head = f"PUT /services/data/v60.0/jobs/ingest/{job_id}/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n"
    with socket.create_connection(("127.0.0.1", int(emulator.url.rpartition(":")[2]))) as sock:
        sock.sendall(f"{head}\r\nLastName,Company\nRay,".encode())
    deadline = time.monotonic() + 60
    while emulator.requests()[-1]["method"] != "PUT":
        assert time.monotonic() < deadline
    assert emulator.requests()[-1]["status"] == 0
    assert emulator.jobs()[0]["uploads"] == 0
    assert list(emulator.emulator.jobs.folder.iterdir()) == []
    assert not caplog.records
    assert bulk.upload(job_id, leads_csv(1)).status_code == 201


@pytest.mark.parametrize("gzipped", [True, False])
def test_a_result_can_break_off(bulk: Bulk, emulator: EmulatorServer, gzipped: bool) -> None:  # noqa: FBT001
    """Half way through the stream, once; then it is whole."""
    emulator.change_settings(gzip_replies=gzipped)
    job_id = bulk.run(leads_csv(*range(2000)))["id"]
    emulator.add_fault("truncate", path="successfulResults", nth=1)
    got: list[bytes] = []
    reply = bulk.api.call("GET", f"/jobs/ingest/{job_id}/successfulResults", stream=True)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        got.extend(reply.iter_content(1000))

    whole = bulk.raw(job_id, "successfulResults").encode()
    assert 0.3 < sum(map(len, got)) / len(whole) < 0.7
    assert whole.startswith(b"".join(got))


def test_a_row_can_be_locked(bulk: Bulk, emulator: EmulatorServer) -> None:
    """As in a collections call."""
    emulator.add_fault("lock", key="^L-1$")
    info = bulk.run(leads_csv("L-1", "L-2"))

    (failed,) = bulk.results(info["id"], "failedResults")
    assert failed["sf__Error"].startswith("UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record")
