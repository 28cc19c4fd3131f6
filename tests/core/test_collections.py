"""Pages of sObject Collections and what their replies say."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.exceptions import OutcomeUnknownError
from airflow_provider_sfleads.salesforce.collections import (
    PageKind,
    SaveResult,
    nothing_written,
    retrieve_call,
    save_results_of,
)
from airflow_provider_sfleads.salesforce.error_codes import Meaning
from airflow_provider_sfleads.salesforce.replies import ApiError
from airflow_provider_sfleads.salesforce.wire import Reply

ID = "00Q5g00000AbCdEEAV"
INSERT = PageKind(operation="insert")
UPSERT = PageKind(operation="upsert", external_id_field="X__c")
OPEN = (Meaning.SENT_AGAIN, Meaning.LATER, Meaning.ENDS_RUN)


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        (PageKind(operation="insert"), "POST", "composite/sobjects"),
        (PageKind(operation="update"), "PATCH", "composite/sobjects"),
        (PageKind(operation="upsert", external_id_field="X__c"), "PATCH", "composite/sobjects/Lead/X__c"),
    ],
)
def test_a_page_is_one_write(kind: PageKind, method: str, path: str) -> None:
    """A page becomes one call that spares the neighbours of a bad record."""
    call = kind.call([{"LastName": "Ray"}])
    assert (call.method, call.path, call.write) == (method, path, True)
    assert call.body == {"allOrNone": False, "records": [{"attributes": {"type": "Lead"}, "LastName": "Ray"}]}


def test_headers() -> None:
    """The assignment header is always there, for absent means that the rule runs; the duplicate header on request."""
    assert PageKind(operation="update").call([]).headers == {"Sforce-Auto-Assign": "FALSE"}
    kind = PageKind(operation="insert", auto_assign="TRUE", allow_duplicates=True, repeatable=False)
    call = kind.call([])
    assert call.headers == {"Sforce-Auto-Assign": "TRUE", "Sforce-Duplicate-Rule-Header": "allowSave=true"}
    assert not call.repeatable


@pytest.mark.parametrize(
    ("code", "message", "meaning"),
    [
        ("UNABLE_TO_LOCK_ROW", "", Meaning.SENT_AGAIN),
        ("SERVER_UNAVAILABLE", "", Meaning.SENT_AGAIN),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "", Meaning.SENT_AGAIN),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "trigger: UNABLE_TO_LOCK_ROW", Meaning.SENT_AGAIN),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", "UNABLE_TO_LOCK_ROW", Meaning.SENT_AGAIN),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "trigger: no", Meaning.REJECTED),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "UNABLE_TO_LOCK_ROW", Meaning.RULE_BROKEN),
        ("API_CURRENTLY_DISABLED", "", Meaning.LATER),
        ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "", Meaning.LATER),
        ("DUPLICATE_VALUE", "", Meaning.LEAD_EXISTS),
        ("DUPLICATES_DETECTED", "", Meaning.LEAD_MAY_EXIST),
        ("CANNOT_UPDATE_CONVERTED_LEAD", "", Meaning.LEAD_CONVERTED),
        ("UNHEARD_OF", "UNABLE_TO_LOCK_ROW", Meaning.REJECTED),
        ("STORAGE_LIMIT_EXCEEDED", "", Meaning.ENDS_RUN),
    ],
)
def test_meanings(code: str, message: str, meaning: Meaning) -> None:
    """Which errors are of the moment, of the hour, of the record, and of its lead."""
    verdict = SaveResult(error=ApiError(code, message))
    assert verdict.meaning is meaning
    assert verdict.is_open is (meaning in OPEN)


def test_a_record_that_was_written_is_not_sent_again() -> None:
    """It has no error to mean anything."""
    assert SaveResult(id=ID).meaning is None
    assert not SaveResult(id=ID).is_open


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "STORAGE_LIMIT_EXCEEDED",
            "stores no more records (connection 'sf', STORAGE_LIMIT_EXCEEDED). Free data",
        ),
        ("API_CURRENTLY_DISABLED", "writes no records at the moment (connection 'sf', API_CURRENTLY_DISABLED)."),
    ],
)
def test_where_no_record_goes_through_the_error_says_what_to_do(code: str, words: str) -> None:
    """As far as there is something to do."""
    error = nothing_written(ApiError(code, "x"), conn_id="sf")
    assert error.transient
    assert words in str(error)


@pytest.mark.parametrize("more", [{}, {"id": None}, {"id": ID}, {"created": False}, {"id": ID, "created": True}])
def test_failed_rows_have_no_id(more: dict[str, object]) -> None:
    """An id or a created beside a failure means nothing."""
    line = {"success": False, "errors": [{"statusCode": "X", "message": "m", "fields": ["F"]}], **more}
    (verdict,) = save_results_of(Reply(status=200, body=[line]), 1)
    assert verdict == SaveResult(error=ApiError("X", "m", ("F",)))


def test_a_failure_without_errors() -> None:
    """A failure that gives no reason is a failure still."""
    (verdict,) = save_results_of(Reply(status=200, body=[{"success": False, "errors": []}]), 1)
    assert verdict.error is not None
    assert verdict.error.code == "UNKNOWN_EXCEPTION"


def test_created_of_a_repeat() -> None:
    """After a repeat, "not created" may be this call's own doing."""
    line = {"id": ID, "success": True, "errors": [], "created": False}
    (first,) = save_results_of(Reply(status=200, body=[line]), 1)
    (again,) = save_results_of(Reply(status=200, body=[line], repeated=True), 1)
    assert first.created is False
    assert again.created is None


@pytest.mark.parametrize("body", [None, [], [{}, {}, {}], {"success": True}, "done", ["x", "y"], [{}, None], 7])
def test_a_reply_that_does_not_speak_of_each_record(body: object) -> None:
    """A reply that cannot be matched to its records is an unknown outcome."""
    with pytest.raises(OutcomeUnknownError):
        save_results_of(Reply(status=200, body=body), 2)


def test_retrieve() -> None:
    """Leads are read by id in a call that changes nothing."""
    call = retrieve_call([ID], ("Id", "Lead_Stage__c"))
    assert call.body == {"ids": [ID], "fields": ["Id", "Lead_Stage__c"]}
    assert call.repeatable
    assert not call.write
