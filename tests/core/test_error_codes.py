"""What each code means, and that whatever no mended row cures has its advice."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.salesforce.error_codes import (
    BEARER_TABLE,
    TABLE,
    TOKEN_TABLE,
    UNKNOWN,
    UNKNOWN_TOKEN_ERROR,
    look_up,
    look_up_token_error,
)
from airflow_provider_sfleads.salesforce.replies import refusal
from airflow_provider_sfleads.salesforce.wire import Call, Reply

# What a request is refused with, less what the transport waits out or tells itself.
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
    assert text.endswith(f". {look_up(code).advice}")
    assert look_up(code).advice


def test_a_code_that_nobody_knows_is_told_alone() -> None:
    """No advice is made up."""
    reply = Reply(status=400, body=[{"errorCode": "UNHEARD_OF", "message": "x"}])
    assert str(refusal(ASKED, reply, conn_id="sf")).endswith("HTTP 400: UNHEARD_OF.")


@pytest.mark.parametrize("code", OF_RECORDS)
def test_a_reject_that_no_mended_value_cures_has_its_advice(code: str) -> None:
    """It is the Salesforce admin's, mostly."""
    assert look_up(code).advice_for_rows


@pytest.mark.parametrize("code", OF_VALUES)
def test_a_reject_of_a_value_is_mended_in_the_row(code: str) -> None:
    """There is nothing to add to that."""
    assert not look_up(code).advice_for_rows


def bare(code: str) -> str:
    """A code without what does not count in it."""
    return code.replace("_", "").upper()


def test_each_advice_is_made_of_sentences() -> None:
    """It stands at the end of messages."""
    entries = [*TABLE, *TOKEN_TABLE, *BEARER_TABLE, UNKNOWN, UNKNOWN_TOKEN_ERROR]
    advices = [advice for entry in entries for advice in (entry.advice, entry.row_advice) if advice]
    assert len(advices) > 80
    assert not [advice for advice in advices if not (advice.endswith(".") and advice[0].isalpha())]


def test_each_entry_is_found() -> None:
    """None is hidden by one that stands before it: those that ask for words come first, and each pair stands once."""
    for number, entry in enumerate(TABLE):
        before = [other.words for other in TABLE[:number] if bare(other.code) == bare(entry.code)]
        assert "" not in before
        assert entry.words not in before


@pytest.mark.parametrize("code", ["UNABLE_TO_LOCK_ROW", "UNABLETOLOCKROW", "UnableToLockRow"])
def test_bulk_api_spells_codes_in_its_own_way(code: str) -> None:
    """Without underscores, or in letters of both cases."""
    assert look_up(code) is look_up("UNABLE_TO_LOCK_ROW")
    assert look_up(code) is not UNKNOWN


def test_what_a_message_says_stands_in_the_advice() -> None:
    """By the words that the entry asks for."""
    entry = look_up("InvalidBatch", "InvalidBatch : Field name not found : Score__c")
    assert "edit access to Score__c" in entry.advice
    assert entry.raises is look_up("InvalidBatch", "Records not found").raises


def test_a_code_in_no_table_is_unknown() -> None:
    """So is none at all."""
    assert look_up("UNHEARD_OF", "x") is look_up("") is UNKNOWN
    assert look_up_token_error("unheard_of", "x") is UNKNOWN_TOKEN_ERROR


def test_the_advice_of_each_flow_is_its_own() -> None:
    """What passes is the same for both, and nothing is left to fill in."""
    assertion = {"audience": "https://login.salesforce.com", "lifetime": 180, "clock": ""}
    said = ("invalid_client", "invalid client credentials")
    assert "consumer secret" in look_up_token_error(*said).advice
    assert "private_key" in look_up_token_error(*said, assertion=assertion).advice
    passing = ("invalid_grant", "login rate exceeded: expired authorization code")
    assert look_up_token_error(*passing) == look_up_token_error(*passing, assertion=assertion)
    for entry in BEARER_TABLE:
        words = entry.words.partition("|")[0]
        assert "{" not in look_up_token_error("invalid_grant", words, assertion=assertion).advice
