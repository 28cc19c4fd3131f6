"""Bulk API 2.0 jobs as a client with nothing but the reference would run them."""

from __future__ import annotations

import csv
import io
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests

    from tests.emulator.client import Api

KINDS = ("successfulResults", "failedResults", "unprocessedrecords")


class Bulk:
    """Ingest jobs on Lead by one client."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def create(self, operation: str = "insert", **more: Any) -> requests.Response:
        """Create a job; `more` adds to or replaces what is sent."""
        body = {"object": "Lead", "operation": operation, "contentType": "CSV", "lineEnding": "LF", **more}
        return self.api.call("POST", "/jobs/ingest", json=body)

    def open(self, operation: str = "insert", **more: Any) -> str:
        """Create a job and say its id."""
        reply = self.create(operation, **more)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["id"])

    def upload(self, job_id: str, text: str | bytes) -> requests.Response:
        """Upload the content."""
        data = text.encode() if isinstance(text, str) else text
        return self.api.call("PUT", f"/jobs/ingest/{job_id}/batches", data=data, headers={"Content-Type": "text/csv"})

    def set_state(self, job_id: str, state: str) -> requests.Response:
        """Close or abort."""
        return self.api.call("PATCH", f"/jobs/ingest/{job_id}", json={"state": state})

    def start(self, text: str | bytes, operation: str = "insert", **more: Any) -> str:
        """Create, upload, close; the job's id."""
        job_id = self.open(operation, **more)
        assert self.upload(job_id, text).status_code == 201
        assert self.set_state(job_id, "UploadComplete").status_code == 200
        return job_id

    def info(self, job_id: str) -> dict[str, Any]:
        """What is said of a job."""
        reply = self.api.get(f"/jobs/ingest/{job_id}")
        assert reply.status_code == 200, reply.text
        found: dict[str, Any] = reply.json()
        return found

    def run(self, text: str | bytes, operation: str = "insert", **more: Any) -> dict[str, Any]:
        """A whole job; what is said of it at its end."""
        job_id = self.start(text, operation, **more)
        self.api.server.finish_jobs()
        return self.info(job_id)

    def wait(self, job_id: str, *states: str) -> dict[str, Any]:
        """Poll until the job is in one of these states."""
        deadline = time.monotonic() + 60
        while (info := self.info(job_id))["state"] not in states:
            assert time.monotonic() < deadline, info
            time.sleep(0.005)
        return info

    def raw(self, job_id: str, kind: str) -> str:
        """A result as it is sent."""
        reply = self.api.get(f"/jobs/ingest/{job_id}/{kind}")
        assert reply.status_code == 200, reply.text
        assert reply.headers["Content-Type"].startswith("text/csv")
        return reply.content.decode()

    def results(self, job_id: str, kind: str) -> list[dict[str, str]]:
        """The records of a result."""
        return list(csv.DictReader(io.StringIO(self.raw(job_id, kind), newline="")))

    def counts(self, job_id: str) -> tuple[int, ...]:
        """How many records the three results hold."""
        return tuple(len(self.results(job_id, kind)) for kind in KINDS)


def leads_csv(*keys: object, **columns: str) -> str:
    """A file of leads with these keys, and these further columns with one value each."""
    names = ["LastName", "Company", "External_Id__c", *columns]
    rows = [["Ray", "Acme", str(key), *columns.values()] for key in keys]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    return text.getvalue()


def refusal(reply: requests.Response) -> tuple[int, str]:
    """Status and code of a refused call."""
    return reply.status_code, reply.json()[0]["errorCode"]
