"""Pages of sObject Collections and what their replies say."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.core.collections import Cure, PageKind, Verdict, retrieve_call, verdicts_of
from airflow_provider_sfleads.core.replies import ApiError
from airflow_provider_sfleads.core.wire import Reply
from airflow_provider_sfleads.exceptions import OutcomeUnknownError

ID = "00Q5g00000AbCdEEAV"
INSERT = PageKind(operation="insert")
UPSERT = PageKind(operation="upsert", external_id_field="X__c")


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
    ("code", "message", "cure"),
    [
        ("UNABLE_TO_LOCK_ROW", "", Cure.REPEAT),
        ("SERVER_UNAVAILABLE", "", Cure.REPEAT),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "", Cure.REPEAT),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "trigger: UNABLE_TO_LOCK_ROW", Cure.REPEAT),
        ("CANNOT_EXECUTE_FLOW_TRIGGER", "UNABLE_TO_LOCK_ROW", Cure.REPEAT),
        ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "trigger: no", Cure.NONE),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", "UNABLE_TO_LOCK_ROW", Cure.NONE),
        ("API_CURRENTLY_DISABLED", "", Cure.LATER),
        ("INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE", "", Cure.LATER),
        ("DUPLICATE_VALUE", "", Cure.NONE),
        ("STORAGE_LIMIT_EXCEEDED", "", Cure.END),
    ],
)
def test_cures(code: str, message: str, cure: Cure) -> None:
    """Which errors are of the moment, of the hour, and of the record."""
    assert Verdict(error=ApiError(code, message)).cure is cure
    assert Verdict(id=ID).cure is Cure.NONE


@pytest.mark.parametrize("more", [{}, {"id": None}, {"id": ID}, {"created": False}, {"id": ID, "created": True}])
def test_failed_rows_have_no_id(more: dict[str, object]) -> None:
    """An id or a created beside a failure means nothing."""
    line = {"success": False, "errors": [{"statusCode": "X", "message": "m", "fields": ["F"]}], **more}
    (verdict,) = verdicts_of(Reply(status=200, body=[line]), 1)
    assert verdict == Verdict(error=ApiError("X", "m", ("F",)))


def test_a_failure_without_errors() -> None:
    """A failure that gives no reason is a failure still."""
    (verdict,) = verdicts_of(Reply(status=200, body=[{"success": False, "errors": []}]), 1)
    assert verdict.error is not None
    assert verdict.error.code == "UNKNOWN_EXCEPTION"


def test_created_of_a_repeat() -> None:
    """After a repeat, "not created" may be this call's own doing."""
    line = {"id": ID, "success": True, "errors": [], "created": False}
    (first,) = verdicts_of(Reply(status=200, body=[line]), 1)
    (again,) = verdicts_of(Reply(status=200, body=[line], repeated=True), 1)
    assert first.created is False
    assert again.created is None


@pytest.mark.parametrize("body", [None, [], [{}, {}, {}], {"success": True}, "done", ["x", "y"], [{}, None], 7])
def test_a_reply_that_does_not_speak_of_each_record(body: object) -> None:
    """A reply that cannot be matched to its records is an unknown outcome."""
    with pytest.raises(OutcomeUnknownError):
        verdicts_of(Reply(status=200, body=body), 2)


def test_retrieve() -> None:
    """Leads are read by id in a call that changes nothing."""
    call = retrieve_call([ID], ("Id", "Lead_Stage__c"))
    assert call.body == {"ids": [ID], "fields": ["Id", "Lead_Stage__c"]}
    assert call.repeatable
    assert not call.write
