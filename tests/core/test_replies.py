from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import OutcomeUnknownError
from airflow_provider_sfleads.salesforce.replies import (
    ApiError,
    RecordResult,
    call_name,
    duplicate_fields,
    duplicate_id,
    errors_of,
    plain_text,
    refusal,
    results_of,
)
from airflow_provider_sfleads.salesforce.wire import Call, Reply

LEAD = "00Q5g00000AbCdEEAV"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["errorCode", "message", "fields", "id", "success", "errors", "created"]), inner
        )
    ),
    max_leaves=12,
)


def test_errors_come_with_code_message_and_fields() -> None:
    """The array of an error body becomes values."""
    body = [
        {"message": "m", "errorCode": "REQUIRED_FIELD_MISSING", "fields": ["LastName"]},
        {"message": "n", "errorCode": "X"},
    ]
    assert errors_of(Reply(status=400, body=body)) == (
        ApiError("REQUIRED_FIELD_MISSING", "m", ("LastName",)),
        ApiError("X", "n"),
    )
    assert errors_of(Reply(status=200, body=body)) == ()
    assert errors_of(Reply(status=400, body=None)) == ()


@given(JSON)
def test_any_body_is_survived(body: Any) -> None:  # noqa: ANN401
    """Whatever JSON comes, it is errors, results, or an unknown outcome."""
    errors_of(Reply(status=400, body=body))
    try:
        assert len(results_of(Reply(status=200, body=body), 2)) == 2
    except OutcomeUnknownError:
        told = body if isinstance(body, list) else []
        # Without a verdict on each nobody can tell which record was written.
        assert [isinstance(item, dict) and item.get("success") is False for item in told] != [True, True]


def test_results_keep_order_and_drop_ids_of_failures() -> None:
    """Ids count only beside success; id and created may be missing, null or wrong on failed records."""
    error = {"statusCode": "X", "message": "m", "fields": ["A"]}
    body = [
        {"id": LEAD[:15], "success": True, "errors": [], "created": True},
        {"success": False, "errors": [error]},
        {"id": LEAD, "success": False, "created": True, "errors": [error]},
        {"id": None, "success": False, "errors": []},
        {"id": LEAD, "success": True},
    ]
    failed = RecordResult(None, success=False, created=None, errors=(ApiError("X", "m", ("A",)),))
    assert results_of(Reply(status=200, body=body), 5) == (
        RecordResult(LEAD, success=True, created=True),
        failed,
        failed,
        RecordResult(None, success=False, created=None, errors=(ApiError("UNKNOWN_EXCEPTION", "no reason given"),)),
        RecordResult(LEAD, success=True, created=None),
    )


def test_a_repeated_upsert_does_not_say_that_it_updated() -> None:
    """``created: false`` after a repeat may be the first sending's own work."""
    body = [{"id": LEAD, "success": True, "created": False}, {"id": LEAD, "success": True, "created": True}]
    assert [result.created for result in results_of(Reply(status=200, body=body, repeated=True), 2)] == [None, True]
    assert [result.created for result in results_of(Reply(status=200, body=body), 2)] == [False, True]


@pytest.mark.parametrize("body", [None, {}, [], [{}, {}, {}], [None, {}]])
def test_a_reply_that_does_not_cover_all_records_leaves_them_unknown(body: object) -> None:
    """Results are never matched to records where their number differs."""
    with pytest.raises(OutcomeUnknownError):
        results_of(Reply(status=200, body=body), 2)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("duplicate value found: Ext__c duplicates value on record with id: 00Q5g00000AbCdE", LEAD),
        (f"Doppelter Wert gefunden: Ext__c auf Datensatz: {LEAD}", LEAD),
        ("Duplicate external id specified: acme-00Q5g00000AbCdE", None),
        ("Externe ID doppelt angegeben: acme-00Q5g00000AbCdE", None),
        ("duplicate value found: Ext__c duplicates value on record with id: 0035g00000AbCdE", None),
        ("duplicate value found: <unknown> duplicates value on record with id: <unknown>", None),
    ],
)
def test_the_record_that_holds_the_value_is_found(message: str, found: str | None) -> None:
    """In any language; a key that stands twice in one request names no record, whatever it looks like."""
    key = "acme-00Q5g00000AbCdE" if "acme" in message else ""
    assert duplicate_id(ApiError("DUPLICATE_VALUE", message), key=key) == found
    assert duplicate_id(ApiError("OTHER", message)) is None


@pytest.mark.parametrize(
    ("message", "fields", "named"),
    [
        ("duplicate value found: Ext__c duplicates value on record with id: 00Q5g00000AbCdE", (), {"Ext__c"}),
        ("doppelter Wert gefunden: Ext__c dupliziert Wert im Datensatz mit ID: 00Q5g00000AbCdE", (), {"Ext__c"}),
        ("duplicate value found: <unknown> duplicates value on record with id: <unknown>", (), set()),
        ("duplicate value found: <unknown> duplicates value on record with id: <unknown>", ("ext__C",), {"Ext__c"}),
        ("duplicate value found: Badge__c duplicates value on record with id: 00Q5g00000AbCdE", (), {"Badge__c"}),
        ("duplicate value found: Other__c duplicates value on record with id: 00Q5g00000AbCdE", ("Name",), set()),
        ("duplicate value found: My_Ext__c duplicates value", (), set()),
    ],
)
def test_the_unique_field_is_named(message: str, fields: tuple[str, ...], named: set[str]) -> None:
    """By the message, in any language, or by the error's fields; or not at all."""
    assert duplicate_fields(ApiError("DUPLICATE_VALUE", message, fields), ("Ext__c", "Badge__c")) == named
    assert not duplicate_fields(ApiError("OTHER", message, fields), ("Ext__c", "Badge__c"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            ApiError("INVALID_FIELD", "\nWHERE Email='jane@x.org'\n^\nNo such column 'Foo__c' on entity 'Lead'. Use"),
            "INVALID_FIELD: No such column 'Foo__c' on entity 'Lead'",
        ),
        (
            ApiError("STRING_TOO_LONG", "First Name: data value too large: Jane", ("FirstName",)),
            "STRING_TOO_LONG (fields FirstName)",
        ),
        (ApiError("JSON_PARSER_ERROR", "Cannot deserialize from 'jane'"), "JSON_PARSER_ERROR"),
    ],
)
def test_log_text_holds_no_values(error: ApiError, text: str) -> None:
    """Codes, fields and static words only."""
    assert plain_text((error,)) == text


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("sobjects/Lead/Email__c/jane@x.org", "GET sobjects/Lead/Email__c/..."),
        ("/services/data/v60.0/query/01gAAA", "GET query/01gAAA"),
        ("query?q=SELECT", "GET query"),
    ],
)
def test_call_names_hold_no_keys(path: str, name: str) -> None:
    """A call is named by its resource."""
    assert call_name(Call(method="GET", path=path)) == name


def test_a_refusal_names_what_for_whom_and_codes() -> None:
    """Status and codes can be read off the error."""
    reply = Reply(status=404, body=[{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}])
    error = refusal(Call(method="GET", path="x"), reply, conn_id="sf")
    assert (error.status, error.codes) == (404, ("NOT_FOUND",))
    assert "GET x (connection 'sf') with HTTP 404: NOT_FOUND: The requested resource" in str(error)
