"""Bulk API 2.0: the calls of a job's life, and what Salesforce says of it.

Bulk API 2.0 and Bulk API Developer Guide,
https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/bulk_api_2_0.htm
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote_plus

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.salesforce.collections import Operation
from airflow_provider_sfleads.salesforce.describe import ASSIGNMENT_RULE
from airflow_provider_sfleads.salesforce.ids import is_id
from airflow_provider_sfleads.salesforce.paging import mapping, moment_of, objects, odd_answer
from airflow_provider_sfleads.salesforce.replies import ApiError, refusal, shown
from airflow_provider_sfleads.salesforce.wire import Call, FileBody, Reply

log = logging.getLogger(__name__)

# Salesforce takes 150 MB in base64, which is why it asks for files of at most 100 MB (upload_job_data.htm).
MAX_UPLOAD_BYTES = 100_000_000
EMPTIED = "#N/A"  # a cell that empties its field; an empty cell leaves it alone (datafiles_prepare_csv.htm)

_INGEST, _QUERY = "jobs/ingest", "jobs/query"
_NOT_FOUND = 404
# Not packed: unpacking a million rows costs more than all else that is done with them.
_CSV = {"Accept": "text/csv", "Accept-Encoding": "identity"}
_FORM = {"contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA"}
# The greatest that Salesforce makes of a query's results; bytes of an error, on the average of a file.
_MOST_PAGE, _MOST_ERROR = 1 << 30, 4096
_MOST_ROWS = 10**12
_SOONEST, _LATEST, _SHARE = 0.5, 75.0, 4
#: Seconds for which a job may stand in the org's queue before its leads are looked up anew.
LONGEST_QUEUED = 30.0
# Twice as long each time, but no more than 16 times as long (8 minutes); after the last time it is left to wait.
_LONGEST_TIMES, _TIMES_ABORTED = 16, 6
_LOCATOR = re.compile(r"[?&]queryLocator=([^&#]+)")
_ROW_CODE = re.compile(r"[A-Z][A-Z0-9_]*")
# Fields follow the last colon at once, with commas or blanks between. With blanks they are fields only where each looks
# like an API name, which is Camel or custom__c; else they are the last words of the message.
_NAME = r"(?:\w+\.)*(?:[A-Z]\w*|\w+__[a-z]{1,3})"
_ROW_FIELDS = re.compile(rf"(?:[\w.]+(?:,[\w.]+)*|{_NAME}(?:[,\s]+{_NAME})*)?\s*", re.ASCII)
_BETWEEN = re.compile(r"[,\s]+")


class JobState(StrEnum):
    """The states of a job (bulk_api_2_job_states.htm)."""

    OPEN = "Open"
    UPLOAD_COMPLETE = "UploadComplete"
    IN_PROGRESS = "InProgress"
    JOB_COMPLETE = "JobComplete"
    FAILED = "Failed"
    ABORTED = "Aborted"


class ResultKind(StrEnum):
    """The three result files of an ingest job, by their resource's name."""

    SUCCESSFUL = "successfulResults"
    FAILED = "failedResults"
    UNPROCESSED = "unprocessedrecords"


_STATES = {state.value: state for state in JobState}
#: States in which nothing more happens to a job.
OVER = frozenset({JobState.JOB_COMPLETE, JobState.FAILED, JobState.ABORTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What an ingest job of leads does with its rows.

    :param operation: insert, update (by the column ``Id``) or upsert.
    :param external_id_field: the key of an upsert.
    :param assignment_rule_id: the rule that routes the leads; without one, none runs.
    """

    operation: Operation
    external_id_field: str | None = None
    assignment_rule_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job as Salesforce describes it (get_job_info.htm).

    :param id: the job's id (``750...``), as Salesforce spells it.
    :param operation: insert, update, upsert, delete, hardDelete, query or queryAll.
    :param processed: rows processed so far, the failed ones among them; of a query, the rows found.
    :param failed: rows that failed so far.
    :param error_message: why the job as a whole failed.
    :param created_by_id: the user that created it.
    :param created_at: when, by Salesforce's clock.
    :param sobject: what its rows are, such as ``Lead``.
    """

    id: str
    state: JobState
    operation: str
    processed: int = 0
    failed: int = 0
    error_message: str | None = None
    created_by_id: str | None = None
    created_at: datetime | None = None
    sobject: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it; what it has written stays written, however it ended."""
        return self.state in OVER

    @property
    def succeeded(self) -> bool:
        """Whether it was processed to its end; rows may have failed all the same."""
        return self.state is JobState.JOB_COMPLETE


def create_job(spec: JobSpec) -> Call:
    """Create an ingest job (create_job.htm). Sent twice it would leave an open job that nobody knows."""
    body = {"object": "Lead", "operation": spec.operation, **_FORM}
    if spec.external_id_field is not None:
        body["externalIdFieldName"] = spec.external_id_field
    if spec.assignment_rule_id is not None:
        body["assignmentRuleId"] = spec.assignment_rule_id
    return Call(method="POST", path=_INGEST, body=body, repeatable=False, write=True)


def upload(job_id: str, path: Path) -> Call:
    """Upload a job's rows (upload_job_data.htm): UTF-8 CSV of at most :data:`MAX_UPLOAD_BYTES`, lines ended by LF.

    A job takes one upload: after a second one it cannot be closed any more. Where the answer is lost, abort the job.
    """
    return Call(method="PUT", path=f"{_INGEST}/{job_id}/batches", body=FileBody(path), repeatable=False, write=True)


def close_job(job_id: str) -> Call:
    """Say that the upload is complete (close_job.htm); Salesforce then begins.

    A repeat changes nothing, but may be refused with ``INVALIDJOBSTATE``: then ask how the job stands.
    """
    return Call(method="PATCH", path=f"{_INGEST}/{job_id}", body={"state": JobState.UPLOAD_COMPLETE.value}, write=True)


def abort_job(job_id: str) -> Call:
    """Abort a job (abort_job.htm); what it has written stays written, the rest comes as unprocessed records."""
    return Call(method="PATCH", path=f"{_INGEST}/{job_id}", body={"state": JobState.ABORTED.value})


def abort(job_id: str, *, conn_id: str) -> Generator[Call, Reply, bool]:
    """Abort a job; whether it was aborted: one that is over, or deleted, is left as it is.

    :return: the calls to send, for clients that block and for those that do not
        (:func:`~airflow_provider_sfleads.salesforce.wire.answered`).
    :raises ServiceUnavailableError: where it goes on, since Salesforce refuses to abort it: it ends by itself.
    """
    call = abort_job(job_id)
    reply = yield call
    if not reply.taken:
        look = get_job(job_id)
        job = found_job(look, (yield look), conn_id=conn_id)
        if job is not None and not job.is_over:
            raise ServiceUnavailableError(
                f"Job {job_id} goes on, and cannot be aborted just now; try again once it is over."
            ) from refusal(call, reply, conn_id=conn_id)
    log.info("Job %s %s.", job_id, "is aborted" if reply.taken else "is over already, and stays as it is")
    return reply.taken


def delete_job(job_id: str) -> Call:
    """Delete a job that is over, with its results (delete_job.htm); after that it is not found."""
    return Call(method="DELETE", path=f"{_INGEST}/{job_id}")


def get_job(job_id: str) -> Call:
    """Ask how a job stands (get_job_info.htm)."""
    return Call(method="GET", path=f"{_INGEST}/{job_id}")


def list_jobs(locator: str | None = None) -> Call:
    """List the org's ingest jobs (get_all_jobs.htm), up to 1,000 to a page; :func:`jobs_of` reads it."""
    params = {"jobType": "V2Ingest"} | ({} if locator is None else {"queryLocator": locator})
    return Call(method="GET", path=_INGEST, params=params)


def results(job_id: str, kind: ResultKind, *, most: int | None = None) -> Call:
    """Ask for the rows of one kind, as CSV in no order (get_job_successful_results.htm and its neighbours).

    :param most: bytes that they may have; see :func:`most_results`.
    """
    return Call(method="GET", path=f"{_INGEST}/{job_id}/{kind.value}", headers=_CSV, most=most)


def most_results(rows: int) -> int:
    """Return how many bytes a result file of so many uploaded rows may have.

    It repeats what was uploaded, with all cells in quotes, and adds an id or an error to each row.
    """
    return 3 * MAX_UPLOAD_BYTES + rows * _MOST_ERROR


def create_query(soql: str) -> Call:
    """Create a query job (query_create_job.htm); one that nobody asks about again does no harm."""
    return Call(method="POST", path=_QUERY, body={"operation": "query", "query": soql, **_FORM})


def get_query(job_id: str) -> Call:
    """Ask how a query job stands (query_get_one_job.htm)."""
    return Call(method="GET", path=f"{_QUERY}/{job_id}")


def query_results(job_id: str, locator: str | None = None, max_records: int | None = None) -> Call:
    """Ask for a page of a query job's rows, as CSV (query_get_job_results.htm); :func:`next_locator` goes on.

    :param locator: of the page before; ``None`` for the first.
    :param max_records: rows to a page at most; ``None`` leaves it to Salesforce.
    """
    params = {} if locator is None else {"locator": locator}
    if max_records is not None:
        params["maxRecords"] = str(max_records)
    return Call(method="GET", path=f"{_QUERY}/{job_id}/results", params=params, headers=_CSV, most=_MOST_PAGE)


def abort_query(job_id: str) -> Call:
    """Abort a query job (query_abort_job.htm)."""
    return Call(method="PATCH", path=f"{_QUERY}/{job_id}", body={"state": JobState.ABORTED.value})


def delete_query(job_id: str) -> Call:
    """Delete a query job and its results (query_delete_job.htm)."""
    return Call(method="DELETE", path=f"{_QUERY}/{job_id}")


def active_rule_call() -> Call:
    """Ask for the org's active lead assignment rule, which Bulk API 2.0 runs only where a job names it."""
    soql = "SELECT Id FROM AssignmentRule WHERE SobjectType = 'Lead' AND Active = TRUE"
    return Call(method="GET", path="query", params={"q": soql})


def active_rule_of(call: Call, reply: Reply, *, conn_id: str) -> str | None:
    """Return the rule's id; an org has at most one active rule for leads.

    :raises ObjectAccessError: where the Run-As user may not see rules.
    :raises RequestRefusedError: where the query was refused for another reason.
    :raises ServiceUnavailableError: where it was answered with something else than a rule.
    """
    ASSIGNMENT_RULE.check(reply, conn_id=conn_id)
    records = objects(mapping(call, reply, conn_id=conn_id).get("records") or [], call, conn_id=conn_id)
    if not records:
        return None
    rule = records[0].get("Id")
    if not isinstance(rule, str) or not is_id(rule, "AssignmentRule"):
        raise ServiceUnavailableError(
            f"Salesforce (connection {conn_id!r}) names an active assignment rule whose id cannot be one."
        )
    return rule


def job_of(call: Call, reply: Reply, *, conn_id: str) -> JobInfo:
    """Return the job that a reply describes.

    :raises RequestRefusedError: where the call was refused; status 404 where the job is deleted or never was.
    :raises ServiceUnavailableError: where the reply describes no job.
    """
    return _job(mapping(call, reply, conn_id=conn_id), call, conn_id)


def found_job(call: Call, reply: Reply, *, conn_id: str) -> JobInfo | None:
    """Return the job that a reply describes, as :func:`job_of` does; ``None`` where it is deleted or never was."""
    return None if reply.status == _NOT_FOUND else job_of(call, reply, conn_id=conn_id)


def jobs_of(call: Call, reply: Reply, *, conn_id: str) -> tuple[list[JobInfo], str | None]:
    """Return a page of a list of jobs, in no order and those of other clients among them, and the next one's locator.

    :raises RequestRefusedError: where the call was refused.
    :raises ServiceUnavailableError: where the reply is no list of jobs.
    """
    body = mapping(call, reply, conn_id=conn_id)
    jobs = [_job(item, call, conn_id) for item in objects(body.get("records") or [], call, conn_id=conn_id)]
    following = _LOCATOR.search(_text(body.get("nextRecordsUrl")) or "")
    return jobs, unquote_plus(following[1]) if following and body.get("done") is not True else None


def _job(body: Mapping[str, object], call: Call, conn_id: str) -> JobInfo:
    job_id, state = body.get("id"), _STATES.get(str(body.get("state")))
    if not isinstance(job_id, str) or not is_id(job_id, "Job") or state is None:
        raise odd_answer(call, "no job of a form that is known", conn_id=conn_id)
    return JobInfo(
        id=job_id,
        state=state,
        operation=shown(_text(body.get("operation")) or ""),
        processed=_count(body.get("numberRecordsProcessed")),
        failed=_count(body.get("numberRecordsFailed")),
        error_message=shown(_text(body.get("errorMessage")) or "") or None,
        created_by_id=_text(body.get("createdById")),
        created_at=moment_of(body.get("createdDate")),
        sobject=_text(body.get("object")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: object) -> int:
    """Read a counter; before anything is processed there is none."""
    return value if isinstance(value, int) and 0 <= value < _MOST_ROWS else 0


def next_locator(reply: Reply) -> str | None:
    """Return what asks for the page after this one; Salesforce writes ``null`` at the end."""
    locator = reply.headers.get("sforce-locator", "")
    return None if locator in ("", "null") else locator


def row_error(text: str) -> ApiError:
    """Read a row's ``sf__Error``: ``CODE:message:Field1,Field2 --``, or ``CODE:message:--`` without fields.

    Fields are separated by commas, blanks or both. What has no code becomes the message of an ``UNKNOWN_EXCEPTION``.
    """
    code, colon, rest = text.partition(":")
    if not colon or not _ROW_CODE.fullmatch(code):
        return ApiError("UNKNOWN_EXCEPTION", text.strip() or "no reason given")
    rest = rest.rstrip()
    # The message may hold colons and line breaks.
    message, colon, names = rest.removesuffix("--").rpartition(":")
    if not (colon and rest.endswith("--") and _ROW_FIELDS.fullmatch(names)):
        return ApiError(code, rest)
    return ApiError(code, message, tuple(filter(None, _BETWEEN.split(names))))


def next_poll(elapsed: float) -> float:
    """Return how many seconds to wait before a job is asked about again.

    A quarter of what has passed: a job of two seconds is noticed at once, one of an hour costs some 70 polls.

    :param elapsed: seconds since the job was closed.
    """
    return min(_LATEST, max(_SOONEST, elapsed / _SHARE))


def longest_queued(times: int, first: float) -> float | None:
    """Return how many seconds a job may stand in the queue before it is aborted and its leads are looked up anew.

    A long queue is not fought for ever: the bound doubles, and after six times there is none.

    :param times: how often its rows were sent before.
    :param first: the bound of the first time.
    """
    return None if times >= _TIMES_ABORTED else first * min(2**times, _LONGEST_TIMES)
