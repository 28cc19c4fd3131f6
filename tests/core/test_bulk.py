from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import RequestRefusedError, ServiceUnavailableError
from airflow_provider_sfleads.salesforce import ingest_jobs as bulk
from airflow_provider_sfleads.salesforce.ingest_jobs import JobInfo, JobSpec, JobState, ResultKind
from airflow_provider_sfleads.salesforce.replies import ApiError, refusal
from airflow_provider_sfleads.salesforce.wire import Call, FileBody, Reply

JOB = "7505g00000XyZaBAAV"
ASKED = bulk.get_job(JOB)
NO_DATE = "Failed to deserialize field at col 3. Due to, '2003-04-98' is not a valid value for the type xsd:date"
NAMES = st.from_regex(r"[A-Z][A-Za-z0-9_]{0,10}(__c)?|[a-z][A-Za-z0-9_]{0,10}__c", fullmatch=True)


def body(**changes: object) -> dict[str, object]:
    """A job as Salesforce describes it before it begins."""
    return {
        "id": JOB,
        "operation": "upsert",
        "object": "Lead",
        "createdById": "0055g00000FgHiJAAV",
        "createdDate": "2026-11-24T00:10:00.000+0000",
        "state": "Open",
        **changes,
    }


def test_a_job_is_created_with_all_that_it_does() -> None:
    """Format, key and rule are told; an order without key or rule does not mention them."""
    form = {"contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA"}
    assert bulk.create_job(JobSpec(operation="insert")).body == {"object": "Lead", "operation": "insert", **form}
    spec = JobSpec(operation="upsert", external_id_field="Ext__c", assignment_rule_id="01Q000000000001AAA")
    assert bulk.create_job(spec).body == {
        "object": "Lead",
        "operation": "upsert",
        "externalIdFieldName": "Ext__c",
        "assignmentRuleId": "01Q000000000001AAA",
        **form,
    }


def test_what_begins_a_write_stops_at_the_usage_ceiling() -> None:
    """Creating, uploading and closing do; looking, collecting, aborting and deleting go on."""
    writes = [bulk.create_job(JobSpec(operation="insert")), bulk.upload(JOB, Path("x")), bulk.close_job(JOB)]
    others = [
        ASKED,
        bulk.results(JOB, ResultKind.FAILED),
        bulk.abort_job(JOB),
        bulk.delete_query(JOB),
        bulk.list_jobs(),
        bulk.create_query("SELECT Id FROM Lead"),
        bulk.query_results(JOB),
    ]
    assert all(call.write for call in writes)
    assert not any(call.write for call in others)


def test_only_what_leaves_a_trace_of_its_own_is_not_repeated() -> None:
    """A second create leaves an open job, a second upload one that cannot be closed; the rest is repeatable."""
    assert not bulk.create_job(JobSpec(operation="insert")).repeatable
    assert not bulk.upload(JOB, Path("x")).repeatable
    assert all(call.repeatable for call in (bulk.close_job(JOB), bulk.abort_job(JOB)))


def test_paths_and_bodies_are_those_of_the_reference() -> None:
    """Every call goes where the Developer Guide says."""
    assert bulk.upload(JOB, Path("x.csv")).body == FileBody(Path("x.csv"), "text/csv; charset=UTF-8")
    assert (bulk.upload(JOB, Path("x")).method, bulk.upload(JOB, Path("x")).path) == (
        "PUT",
        f"jobs/ingest/{JOB}/batches",
    )
    assert bulk.close_job(JOB).body == {"state": "UploadComplete"}
    assert bulk.abort_job(JOB).body == bulk.abort_query(JOB).body == {"state": "Aborted"}
    assert bulk.results(JOB, ResultKind.UNPROCESSED).path == f"jobs/ingest/{JOB}/unprocessedrecords"
    assert bulk.results(JOB, ResultKind.SUCCESSFUL).headers == {"Accept": "text/csv", "Accept-Encoding": "identity"}
    assert bulk.list_jobs("here").params == {"jobType": "V2Ingest", "queryLocator": "here"}
    assert bulk.query_results(JOB, "here", 50_000).params == {"locator": "here", "maxRecords": "50000"}
    assert bulk.query_results(JOB).params == {}
    assert bulk.get_query(JOB).path == bulk.delete_query(JOB).path == f"jobs/query/{JOB}"


def test_a_job_is_read_with_its_counters() -> None:
    """States, counters and times become values."""
    reply = Reply(
        status=200, body=body(state="Failed", numberRecordsProcessed=7, numberRecordsFailed=2, errorMessage="x")
    )
    assert bulk.job_of(ASKED, reply, conn_id="sf") == JobInfo(
        id=JOB,
        state=JobState.FAILED,
        operation="upsert",
        processed=7,
        failed=2,
        error_message="x",
        created_by_id="0055g00000FgHiJAAV",
        created_at=datetime(2026, 11, 24, 0, 10, tzinfo=UTC),
        sobject="Lead",
    )


def test_counters_that_are_not_there_yet_are_zero() -> None:
    """Before a job is processed it has none."""
    job = bulk.job_of(ASKED, Reply(status=200, body=body()), conn_id="sf")
    assert (job.processed, job.failed, job.error_message) == (0, 0, None)


@pytest.mark.parametrize(
    ("state", "over", "succeeded"),
    [
        ("Open", False, False),
        ("UploadComplete", False, False),
        ("InProgress", False, False),
        ("JobComplete", True, True),
        ("Failed", True, False),
        ("Aborted", True, False),
    ],
)
def test_a_state_says_whether_anything_is_still_to_come(state: str, *, over: bool, succeeded: bool) -> None:
    """Three states are the end, and one of them is success."""
    job = bulk.job_of(ASKED, Reply(status=200, body=body(state=state)), conn_id="sf")
    assert (job.is_over, job.succeeded) == (over, succeeded)


def test_a_deleted_job_is_a_refusal_with_its_status() -> None:
    """Whoever asks for a job that is gone learns it by the status."""
    reply = Reply(status=404, body=[{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}])
    with pytest.raises(RequestRefusedError) as caught:
        bulk.job_of(ASKED, reply, conn_id="sf")
    assert caught.value.status == 404


@pytest.mark.parametrize("wrong", [[], {"id": JOB}, {"id": JOB, "state": "Sleeping"}, {"state": "Open"}])
def test_what_is_no_job_is_not_taken_for_one(wrong: object) -> None:
    """A state that nobody knows is not guessed at."""
    with pytest.raises(ServiceUnavailableError):
        bulk.job_of(ASKED, Reply(status=200, body=wrong), conn_id="sf")


def test_a_list_of_jobs_leads_to_its_next_page() -> None:
    """The locator comes out of nextRecordsUrl, until the list is done."""
    url = "/services/data/v60.0/jobs/ingest?jobType=V2Ingest&queryLocator=01g-2%2B"
    listed = {"done": False, "records": [body()], "nextRecordsUrl": url}
    jobs, locator = bulk.jobs_of(bulk.list_jobs(), Reply(status=200, body=listed), conn_id="sf")
    assert ([job.id for job in jobs], locator) == ([JOB], "01g-2+")
    for last in (listed | {"done": True}, {"done": True, "records": []}):
        assert bulk.jobs_of(bulk.list_jobs(), Reply(status=200, body=last), conn_id="sf")[1] is None


@pytest.mark.parametrize(("header", "locator"), [("null", None), ("", None), ("MTAwMDA", "MTAwMDA")])
def test_the_word_null_ends_a_query(header: str, locator: str | None) -> None:
    """Salesforce says the end in words."""
    assert bulk.next_locator(Reply(status=200, headers={"sforce-locator": header})) == locator


def test_the_active_rule_is_its_id_or_none() -> None:
    """An org has one active rule for leads, or none."""
    call = bulk.active_rule_call()
    records = [{"attributes": {"type": "AssignmentRule"}, "Id": "01Q000000000001AAA"}]
    found = Reply(status=200, body={"totalSize": 1, "done": True, "records": records})
    assert bulk.active_rule_of(call, found, conn_id="sf") == "01Q000000000001AAA"
    none = Reply(status=200, body={"totalSize": 0, "done": True, "records": []})
    assert bulk.active_rule_of(call, none, conn_id="sf") is None


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName, Company]:LastName,Company --",
            ApiError(
                "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName, Company]", ("LastName", "Company")
            ),
        ),
        (
            "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record: 00Q5g00000AbCdE:--",
            ApiError("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record: 00Q5g00000AbCdE"),
        ),
        ("CUSTOM:one\ntwo: three\n:Ext__c --", ApiError("CUSTOM", "one\ntwo: three\n", ("Ext__c",))),
        ("CODE:cut off", ApiError("CODE", "cut off")),
        ("CODE:text:LastName Company --", ApiError("CODE", "text", ("LastName", "Company"))),
        ("CODE:text:LastName, ns__Ext__c --", ApiError("CODE", "text", ("LastName", "ns__Ext__c"))),
        ("CODE:text:ext__c owner__r.Name --", ApiError("CODE", "text", ("ext__c", "owner__r.Name"))),
        ("CODE:text:ext_ID__c Person__pc\n--\n", ApiError("CODE", "text", ("ext_ID__c", "Person__pc"))),
        ("CODE:mend it: please try again --:--", ApiError("CODE", "mend it: please try again --")),
        ("CODE:mend it:please try again --", ApiError("CODE", "mend it:please try again --")),
        ("CODE:mend it: Please --", ApiError("CODE", "mend it: Please --")),
        (f"INVALID_FIELD:{NO_DATE}:CloseDate --", ApiError("INVALID_FIELD", NO_DATE, ("CloseDate",))),
        (
            "InvalidBatch : Field name not found : X",
            ApiError("UNKNOWN_EXCEPTION", "InvalidBatch : Field name not found : X"),
        ),
        ("", ApiError("UNKNOWN_EXCEPTION", "no reason given")),
    ],
)
def test_a_row_error_is_taken_apart(text: str, error: ApiError) -> None:
    """Code, message and fields, whatever the message holds."""
    assert bulk.row_error(text) == error


@given(
    st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True),
    st.text(),
    st.lists(NAMES, max_size=3),
    st.sampled_from([",", ", ", " ", "\n"]),
)
def test_every_message_comes_back_as_it_was(code: str, message: str, fields: list[str], between: str) -> None:
    """Colons, dashes and line breaks in a message do not break it, whatever stands between the fields."""
    end = f"{between.join(fields)} --" if fields else "--"
    assert bulk.row_error(f"{code}:{message}:{end}") == ApiError(code, message, tuple(fields))


def test_polls_are_frequent_for_a_short_job_and_few_for_a_long_one() -> None:
    """A job of two seconds is noticed within half a second of its end, one of an hour costs at most 80 polls."""
    moments = [0.0]
    while moments[-1] < 3600:
        moments.append(moments[-1] + bulk.next_poll(moments[-1]))
    assert len(moments) - 1 <= 80
    assert all(later - sooner <= 0.5 for sooner, later in pairwise(moments) if later <= 2.5)
    assert moments[-1] <= 3600 + 75


def test_a_long_queue_is_fought_less_and_less() -> None:
    """Half a minute at first, eight minutes in the end, and then for ever."""
    bounds = [bulk.longest_queued(times, bulk.LONGEST_QUEUED) for times in range(8)]
    assert bounds == [30.0, 60.0, 120.0, 240.0, 480.0, 480.0, None, None]


def test_bulk_error_codes_are_said_with_their_message() -> None:
    """Their messages hold no values of rows, and the job is named."""
    reply = Reply(status=400, body=[{"errorCode": "INVALIDJOBSTATE", "message": "Invalid job state: Closed"}])
    assert f"PATCH jobs/ingest/{JOB} " in str(refusal(bulk.close_job(JOB), reply, conn_id="sf"))
    assert "Invalid job state: Closed" in str(refusal(bulk.close_job(JOB), reply, conn_id="sf"))
    assert isinstance(bulk.close_job(JOB), Call)
