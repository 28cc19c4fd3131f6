"""Looking leads up, where the answer is not what was asked for."""

from __future__ import annotations

import pytest

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.wire import Reply
from tests.pipeline.runs import describe

KEY = FieldInfo(name="External_Id__c", type="string")


@pytest.mark.parametrize("body", [None, [], "sorry"], ids=["nothing", "list", "text"])
def test_a_query_answered_with_no_object_is_worth_a_retry(body: object) -> None:
    """It is an error that names the call, and not a traceback."""
    lookup = LeadLookup(send=lambda _call: Reply(status=200, body=body), conn_id="sf", lead=describe())
    with pytest.raises(ServiceUnavailableError, match="GET query"):
        lookup.by_field(KEY, ["L-1"], ())


@pytest.mark.parametrize("body", [None, {}, [None]], ids=["nothing", "object", "too short"])
def test_a_retrieve_answered_with_another_number_of_leads_is_worth_a_retry(body: object) -> None:
    """A lead that the answer leaves out is not missing in Salesforce."""
    lookup = LeadLookup(send=lambda _call: Reply(status=200, body=body), conn_id="sf", lead=describe())
    with pytest.raises(ServiceUnavailableError, match="POST composite/sobjects/Lead"):
        lookup.by_id(["00Q000000000001AAA", "00Q000000000002AAA"], ("Id",))
