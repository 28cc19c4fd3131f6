"""Why an ingest job ended before its end, and whether the same rows could fare better in another job.

Bulk API 2.0 and Bulk API Developer Guide, "Errors": ``errorMessage`` is ``Code : message``.
"""

from __future__ import annotations

import re

from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    BulkJobError,
    ObjectAccessError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.error_codes import ErrorCode, look_up
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobState
from airflow_provider_sfleads.salesforce.limits import used_up

#: Errors that end a bulk load, and that every retry would meet again.
LASTING = (BulkJobError, ObjectAccessError)
_CODE = re.compile(r"\s*([A-Za-z][A-Za-z_]{2,99})\s*(?::|$)", re.ASCII)


def heals(message: str | None) -> bool:
    """Whether a job that failed with this ``errorMessage`` may go through when it is made again.

    What nobody knows yet may.
    """
    return _entry(message).raises is not BulkJobError


def advice(message: str | None) -> str:
    """Say what to do about a job that failed with this ``errorMessage``; empty where there is nothing to say."""
    return _entry(message).advice


def unfinished(job: JobInfo, *, rows: int, conn_id: str) -> SalesforceLeadsError:
    """Make the error of a job that was not processed to its end: the rows that it left out were not written.

    A limit of Bulk API is an :class:`ApiLimitError`, as at a refused request. What cannot heal is a
    :class:`BulkJobError`, which no retry mends; anything else is worth one.

    :param rows: rows that were uploaded with it.
    """
    said = f": {job.error_message}" if job.error_message else ""
    what = f"Job {job.id} (connection {conn_id!r}) ended {job.state} after {job.processed:,} of {rows:,} rows{said}."
    entry = _entry(job.error_message)
    if job.state is JobState.FAILED and entry.raises is ApiLimitError:
        return used_up(f"job {job.id} (connection {conn_id!r})", job.error_message or "", entry)
    if job.state is JobState.FAILED and entry.raises is BulkJobError:
        return BulkJobError(f"{what} {entry.advice}".rstrip())
    return ServiceUnavailableError(f"{what} What it did not process is sent in the next try.")


def _entry(message: str | None) -> ErrorCode:
    found = _CODE.match(message or "")
    return look_up(found[1] if found else "", message or "")
