"""Why a job failed decides whether its rows are sent again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    BulkJobError,
    SalesforceLeadsError,
    ServiceUnavailableError,
)
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobState
from airflow_provider_sfleads.salesforce.job_control import advice, heals, unfinished

JOB = JobInfo(id="7505g00000XyZaBAAV", state=JobState.FAILED, operation="upsert", processed=400)
LASTING = [
    "InvalidBatch : Field name not found : Score__c",
    "InvalidBatch : Records not found",
    "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF",
    "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is CRLF",
    "InvalidJob : x",
    "INVALIDENTITY : x",
    "INVALID_FIELD: No such column",
    "FeatureNotEnabled : x",
    "InvalidUser",
]
HEALING = [
    "InternalServerError : the platform failed",
    "TooManyLockFailure : Too many lock failure (200) trying to process batch",
    "UNABLE_TO_LOCK_ROW: unable to obtain exclusive access",
    "Timeout : the batch took too long",
    "InvalidSessionId : x",
    "Unknown : x",
    "what nobody has seen yet",
    "",
    None,
]
LIMITS = ["ExceededQuota : Batches Limit exceeded.", "EXCEEDEDQUOTA: x", "LIMIT_EXCEEDED : x", "exceeded_quota : x"]


def error_of(message: str | None) -> SalesforceLeadsError:
    """The error of a job that failed after 400 of 1,000 rows."""
    return unfinished(replace(JOB, error_message=message), rows=1_000, conn_id="sf")


@pytest.mark.parametrize("message", LASTING)
def test_a_job_that_would_fail_again_is_no_matter_of_a_retry(message: str) -> None:
    """The error says how far it came, in Salesforce's words why, and what to do."""
    error = error_of(message)
    assert type(error) is BulkJobError
    assert not error.transient
    assert not heals(message)
    assert "400 of 1,000 rows" in str(error)
    assert message in str(error)
    assert str(error).endswith(advice(message))
    assert advice(message)


@pytest.mark.parametrize("message", HEALING)
def test_a_job_that_may_go_through_next_time_is_worth_a_retry(message: str | None) -> None:
    """What nobody knows may pass: retries are counted."""
    assert heals(message)
    assert type(error_of(message)) is ServiceUnavailableError


@pytest.mark.parametrize("message", LIMITS)
def test_a_quota_is_a_limit_as_at_a_refused_request(message: str) -> None:
    """However it is spelt: it comes back bit by bit."""
    error = error_of(message)
    assert type(error) is ApiLimitError
    assert (error.transient, error.retry_after) == (True, 3600.0)
    assert "Bulk Data Load Jobs" in str(error)


def test_a_field_that_is_hidden_is_named_with_what_to_give() -> None:
    """Who lost access finds the field, and where access is given."""
    for words in ("the field Score__c", "edit access to Score__c", "field-level security"):
        assert words in advice("InvalidBatch : Field name not found : Score__c")
    assert "field-level security" not in advice("InvalidBatch : Field name not found : <b>")


def test_a_job_that_somebody_aborts_is_worth_a_retry() -> None:
    """Whatever its message."""
    aborted = replace(JOB, state=JobState.ABORTED, error_message="InvalidBatch : x")
    assert type(unfinished(aborted, rows=1_000, conn_id="sf")) is ServiceUnavailableError
