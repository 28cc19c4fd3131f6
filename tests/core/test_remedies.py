"""Each code that no mended row cures has its advice."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.core.remedies import record_remedy, remedies_for
from airflow_provider_sfleads.core.replies import refusal
from airflow_provider_sfleads.core.wire import Call, Reply

# salesforce-api.md 5.4 and 7.2: what a request is refused with, less what the transport waits out or tells itself.
OF_REQUESTS = [
    "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG", "TXN_SECURITY_METERING_ERROR", "TXN_SECURITY_RUNTIME_ERROR",
    "TXN_SECURITY_NO_ACCESS", "TXN_SECURITY_APEX_ERROR", "INVALID_FIELD", "INVALID_FIELD_FOR_INSERT_UPDATE",
    "INVALID_TYPE", "NOT_FOUND", "INSUFFICIENT_ACCESS_OR_READONLY", "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "INSUFFICIENT_ACCESS", "INVALID_ASSIGNMENT_RULE", "STORAGE_LIMIT_EXCEEDED", "EXCEEDED_ID_LIMIT",
    "JSON_PARSER_ERROR",
    "MALFORMED_QUERY", "INVALID_QUERY_LOCATOR", "QUERY_TOO_COMPLICATED", "INVALID_EXTERNAL_ID_FIELD_NAME",
    "INVALID_ENTITY_FOR_UPSERT", "INVALIDJOB", "INVALIDJOBSTATE", "INVALIDENTITY", "FEATURENOTENABLED", "API_ERROR",
    "INVALIDBATCH", "TOOMANYLOCKFAILURE", "TooManyLockFailure", "ALL_OR_NONE_OPERATION_ROLLED_BACK",
    "PROCESSING_HALTED",
]  # fmt: skip
OF_RECORDS = [
    "DUPLICATES_DETECTED", "DUPLICATE_VALUE", "DUPLICATE_EXTERNAL_ID", "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    "CANNOT_UPDATE_CONVERTED_LEAD", "ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "INVALID_FIELD",
    "INSUFFICIENT_ACCESS_OR_READONLY", "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "CANNOT_EXECUTE_FLOW_TRIGGER", "INACTIVE_OWNER_OR_USER",
    "INVALID_ASSIGNMENT_RULE", "INVALID_FIELD_FOR_INSERT_UPDATE", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    "UNABLE_TO_LOCK_ROW", "TXN_SECURITY_RUNTIME_ERROR",
]  # fmt: skip
# The row's own values are to be mended, as the rejects file says.
OF_VALUES = [
    "REQUIRED_FIELD_MISSING", "STRING_TOO_LONG", "INVALID_EMAIL_ADDRESS", "NUMBER_OUTSIDE_VALID_RANGE", "MALFORMED_ID",
    "MISSING_ARGUMENT", "INVALID_TYPE_ON_FIELD_IN_RECORD", "FIELD_INTEGRITY_EXCEPTION", "UNHEARD_OF",
]  # fmt: skip
ASKED = Call(method="GET", path="query")


@pytest.mark.parametrize("code", OF_REQUESTS)
def test_a_refused_request_says_what_to_do(code: str) -> None:
    """Salesforce's code comes first, then one sentence."""
    reply = Reply(status=400, body=[{"errorCode": code, "message": "Jane"}, {"errorCode": code, "message": "Jane"}])
    text = str(refusal(ASKED, reply, conn_id="sf"))
    assert code in text
    assert text.endswith(f". {remedies_for([code])}")
    assert remedies_for([code]).endswith(".")


def test_a_code_that_nobody_knows_is_told_alone() -> None:
    """No advice is made up."""
    reply = Reply(status=400, body=[{"errorCode": "UNHEARD_OF", "message": "x"}])
    assert str(refusal(ASKED, reply, conn_id="sf")).endswith("HTTP 400: UNHEARD_OF.")


@pytest.mark.parametrize("code", OF_RECORDS)
def test_a_reject_that_no_mended_value_cures_has_its_advice(code: str) -> None:
    """It is the Salesforce admin's, mostly."""
    assert record_remedy(code)


@pytest.mark.parametrize("code", OF_VALUES)
def test_a_reject_of_a_value_is_mended_in_the_row(code: str) -> None:
    """There is nothing to add to that."""
    assert record_remedy(code) is None
