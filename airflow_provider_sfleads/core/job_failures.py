"""Why an ingest job ended before its end, and whether the same rows could fare better in another job.

Bulk API 2.0 and Bulk API Developer Guide, "Errors": ``errorMessage`` is ``Code : message``.
"""

from __future__ import annotations

import re

from airflow_provider_sfleads.core.bulk import JobInfo, JobState
from airflow_provider_sfleads.core.limits import bulk_used_up, is_bulk_limit
from airflow_provider_sfleads.core.remedies import bare_code, remedies_for
from airflow_provider_sfleads.exceptions import (
    BulkJobError,
    ObjectAccessError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)

#: Errors that end a bulk load, and that every retry would meet again.
LASTING = (BulkJobError, ObjectAccessError)
_CODE = re.compile(r"\s*([A-Za-z][A-Za-z_]{2,99})\s*(?::|$)", re.ASCII)
_NOT_FOUND = re.compile(r"Field name not found\s*:\s*([A-Za-z][\w.]{0,254})", re.ASCII)
# The rows, the job or the user are refused: another job with the same rows is refused as well. All else may heal -
# InternalServerError, Timeout, TooManyLockFailure, UNABLE_TO_LOCK_ROW, InvalidSessionId, and what nobody knows yet.
_LASTING_CODES = frozenset(
    {
        "CLIENTINPUTERROR",
        "FEATURENOTENABLED",
        "INSUFFICIENTACCESS",
        "INSUFFICIENTACCESSORREADONLY",
        "INVALIDBATCH",
        "INVALIDENTITY",
        "INVALIDFIELD",
        "INVALIDFIELDFORINSERTUPDATE",
        "INVALIDJOB",
        "INVALIDOPERATION",
        "INVALIDTYPE",
        "INVALIDURL",
        "INVALIDUSER",
        "INVALIDVERSION",
        "INVALIDXML",
    }
)


def heals(message: str | None) -> bool:
    """Whether a job that failed with this ``errorMessage`` may go through when it is made again."""
    return bare_code(_code(message)) not in _LASTING_CODES


def advice(message: str | None) -> str:
    """Say what to do about a job that failed with this ``errorMessage``; empty where there is nothing to say."""
    hidden = _NOT_FOUND.search(message or "")
    if hidden is None:
        return remedies_for((_code(message),))
    return (
        f"The Run-As user does not see the field {hidden[1]}: it was deleted or renamed, or the user has lost access. "
        f"Give the user edit access to {hidden[1]} in its field-level security, by a permission set, or take the "
        "field out of the Dag."
    )


def unfinished(job: JobInfo, *, rows: int, conn_id: str) -> SalesforceLeadsError:
    """Make the error of a job that was not processed to its end: the rows that it left out were not written.

    A limit of Bulk API is an :class:`ApiLimitError`, as at a refused request. What cannot heal is a
    :class:`BulkJobError`, which no retry mends; anything else is worth one.

    :param rows: rows that were uploaded with it.
    """
    said = f": {job.error_message}" if job.error_message else ""
    what = f"Job {job.id} (connection {conn_id!r}) ended {job.state} after {job.processed:,} of {rows:,} rows{said}."
    if job.state is JobState.FAILED and is_bulk_limit(_code(job.error_message)):
        return bulk_used_up(f"job {job.id} (connection {conn_id!r})", job.error_message or "")
    if job.state is JobState.FAILED and not heals(job.error_message):
        return BulkJobError(f"{what} {advice(job.error_message)}".rstrip())
    return ServiceUnavailableError(f"{what} What it did not process is sent in the next try.")


def _code(message: str | None) -> str:
    found = _CODE.match(message or "")
    return found[1] if found else ""
