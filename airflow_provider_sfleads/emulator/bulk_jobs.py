"""Bulk API 2.0 jobs: what is known of each, and where their files lie."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_sfleads.emulator.bulk_csv import Block, Content, Form
from airflow_provider_sfleads.emulator.ids import JOB_PREFIX, RUN_AS_USER_ID, make_id, number_of

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.store import Store

State = Literal["Open", "UploadComplete", "InProgress", "JobComplete", "Failed", "Aborted"]
OVER: frozenset[State] = frozenset({"JobComplete", "Failed", "Aborted"})
ACTIVE: frozenset[State] = frozenset({"UploadComplete", "InProgress"})
_PASSING = frozenset({"due", "started"})


@dataclass(slots=True, kw_only=True)
class Job:
    """One job; change it only while holding `Jobs.changed`.

    `query` is the SOQL of a query job, None for an ingest job. `request` is the number under which the
    history shows its changes. `allowed` are the rows that the daily batch allocation lets through, None
    before it has begun. `counted` jobs write no leads: row n becomes lead `first_number` + n. `due` is when
    the worker goes on with it (monotonic seconds).
    """

    id: str
    operation: str
    api_version: float
    created_at: str
    modified_at: str
    object: str = "Lead"
    state: State = "Open"
    external_id_field: str | None = None
    assignment_rule_id: str | None = None
    delimiter: str = "COMMA"
    ending: str = "LF"
    query: str | None = None
    request: int = 0
    uploads: int = 0
    content: Content | None = None
    allowed: int | None = None
    processed: int = 0
    failed: int = 0
    error_message: str | None = None
    counted: bool = False
    first_number: int = 0
    milliseconds: int = 0
    due: float = 0.0
    started: float = 0.0

    @property
    def form(self) -> Form:
        """How its files are written."""
        return Form(delimiter=self.delimiter, ending=self.ending)

    @property
    def rows(self) -> int:
        """The records uploaded, or found by the query."""
        return self.content.rows if self.content else 0

    @property
    def over(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in OVER

    def summary(self) -> dict[str, Any]:
        """Return what tests and the page want to know of it."""
        return {
            "id": self.id,
            "operation": self.operation,
            "object": self.object,
            "state": self.state,
            "rows": self.rows,
            "processed": self.processed,
            "failed": self.failed,
            "external_id_field": self.external_id_field,
            "assignment_rule_id": self.assignment_rule_id,
            "error_message": self.error_message,
            "columns": list(self.content.columns) if self.content else [],
            "uploads": self.uploads,
            "query": self.query,
            "created_at": self.created_at,
            "modified_at": self.modified_at,
        }

    def kept(self) -> str:
        """Return all of it as JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if name not in _PASSING})

    @classmethod
    def from_kept(cls, text: str) -> Job:
        """Return what `kept` has written."""
        values = json.loads(text)
        if (content := values["content"]) is not None:
            blocks = tuple(Block(**block) for block in content["blocks"])
            values["content"] = Content(**{**content, "blocks": blocks, "columns": tuple(content["columns"])})
        return cls(**values)


class Jobs:
    """All jobs of the org. `changed` is the lock, and is notified when a job has changed.

    :param store: keeps what is known of the jobs; take its lock only after `changed`.
    :param folder: keeps their files; one that is deleted on close where None.
    """

    def __init__(self, store: Store, folder: Path | None) -> None:
        self.changed = threading.Condition()
        self.batches_used = 0
        self.leads_counted = 0
        self._store = store
        self._lasting = folder is not None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="sfleads-emulator-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        with store.transaction():
            kept = [Job.from_kept(row["job"]) for row in store.read("SELECT job FROM bulk_job ORDER BY id")]
        self._jobs: dict[str, Job] = {job.id: job for job in kept}
        self._last = max((number_of(job.id) for job in kept), default=0)

    def create(self, values: Mapping[str, Any], now: str) -> Job:
        """Return a new job."""
        with self.changed:
            self._last += 1
            job = Job(id=make_id(JOB_PREFIX, self._last), created_at=now, modified_at=now, **values)
            self._jobs[job.id] = job
            self.save(job)
            return job

    def find(self, job_id: str | None) -> Job | None:
        """Return the job of this 18-character id."""
        return self._jobs.get(job_id or "")

    def all(self) -> list[Job]:
        """Return all jobs, oldest first."""
        with self.changed:
            return list(self._jobs.values())

    def save(self, job: Job, now: str | None = None) -> None:
        """Keep what has changed, and tell whoever waits."""
        if now is not None:
            job.modified_at = now
        with self._store.transaction():
            self._store.run("INSERT OR REPLACE INTO bulk_job (id, job) VALUES (?, ?)", [job.id, job.kept()])
        self.changed.notify_all()

    def end(self, job: Job, state: State, now: str, message: str | None = None) -> None:
        """Bring a job to its end."""
        job.state = state
        job.error_message = message
        if job.started:
            job.milliseconds = int((time.monotonic() - job.started) * 1000)
        self.save(job, now)

    def file(self, job: Job, kind: str) -> Path:
        """Return where one of its files lies: `upload`, `successful`, `failed` or `result`."""
        return self.folder / f"{job.id}.{kind}.csv"

    def remove(self, job: Job) -> None:
        """Forget a job and delete its files."""
        with self.changed:
            del self._jobs[job.id]
            with self._store.transaction():
                self._store.run("DELETE FROM bulk_job WHERE id = ?", [job.id])
            for path in self.folder.glob(f"{job.id}.*"):
                path.unlink(missing_ok=True)
            self.changed.notify_all()

    def clear(self) -> None:
        """Forget all jobs."""
        with self.changed:
            for job in list(self._jobs.values()):
                self.remove(job)
            self.batches_used = self.leads_counted = 0

    def close(self) -> None:
        """Delete the folder, unless it is one that lasts."""
        if not self._lasting:
            shutil.rmtree(self.folder, ignore_errors=True)


def job_info(job: Job, *, full: bool) -> dict[str, Any]:
    """Return what Salesforce says of a job; `full` as a GET of this one job does."""
    info: dict[str, Any] = {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": RUN_AS_USER_ID,
        "createdDate": job.created_at,
        "systemModstamp": job.modified_at,
        "state": job.state,
        "externalIdFieldName": job.external_id_field,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": job.api_version,
        "jobType": "V2Ingest" if job.query is None else "V2Query",
        "assignmentRuleId": job.assignment_rule_id,
        "lineEnding": job.ending,
        "columnDelimiter": job.delimiter,
    }
    info = {name: value for name, value in info.items() if value is not None}
    if job.query is None and job.state == "Open":
        info["contentUrl"] = f"services/data/v{job.api_version}/jobs/ingest/{job.id}/batches"
    if full and job.state not in {"Open", "UploadComplete"}:
        spent = job.milliseconds or (int((time.monotonic() - job.started) * 1000) if job.started else 0)
        info |= {"numberRecordsProcessed": job.processed, "retries": 0, "totalProcessingTime": spent}
        if job.query is None:
            info |= {
                "numberRecordsFailed": job.failed,
                "apiActiveProcessingTime": spent,
                "apexProcessingTime": 0,
            }
    if full and job.error_message is not None and job.query is None:
        info["errorMessage"] = job.error_message
    return info
