"""The emulator against a client that none of us wrote, over the same wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)
from simple_salesforce.format import format_soql

from airflow_provider_sfleads.emulator.setup_data import RUN_AS_USERNAME
from tests.signing_keys import certificate, pem

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

Client = Any  # its own hints do not fit its own calls

RAY = {"LastName": "Ray", "Company": "Acme"}


class ToEmulator(HTTPAdapter):
    """simple-salesforce insists on https; this takes its requests to the emulator's http port."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Keep host, path and query, change where they go."""
        host, slash, rest = (request.url or "").removeprefix("https://").partition("/")
        request.headers["Host"] = host
        request.url = self._url + slash + rest
        return super().send(request, *args, **kwargs)


def connect(emulator: EmulatorServer, secret: str) -> Client:
    """Log in with simple-salesforce's own login."""
    session = requests.Session()
    session.mount("https://", ToEmulator(emulator.url))
    return Salesforce(
        domain="acme.my", consumer_key="emulator-key", consumer_secret=secret, version="60.0", session=session
    )


def sign_in(emulator: EmulatorServer, name: str) -> Client:
    """Log in with what simple-salesforce signs."""
    session = requests.Session()
    session.mount("https://", ToEmulator(emulator.url))
    return Salesforce(
        username=RUN_AS_USERNAME, domain="login", consumer_key="emulator-key", privatekey=pem(name), session=session
    )


@pytest.fixture
def sf(emulator: EmulatorServer) -> Client:
    """A client that has logged in."""
    return connect(emulator, "emulator-secret")


def test_it_logs_in_and_goes_where_the_token_says(sf: Client) -> None:
    """The instance is the host that it asked."""
    assert sf.sf_instance == "acme.my.salesforce.com"


def test_it_is_told_of_a_wrong_secret(emulator: EmulatorServer) -> None:
    """In a way that it understands."""
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid client credentials"):
        connect(emulator, "wrong")


def test_it_signs_in(emulator: EmulatorServer) -> None:
    """With the key of the app's certificate, and no other."""
    emulator.change_settings(jwt_certificates=[certificate()])
    assert sign_in(emulator, "first").session_id in emulator.emulator.tokens.issued
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid assertion"):
        sign_in(emulator, "second")


def test_rows(sf: Client, emulator: EmulatorServer) -> None:
    """Create, get, update, delete."""
    made = sf.Lead.create(RAY)
    assert made["success"]
    assert sf.Lead.update(made["id"], {"FirstName": "Ada"}) == 204
    assert sf.Lead.get(made["id"])["Name"] == "Ada Ray"
    assert sf.Lead.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        sf.Lead.get(made["id"])
    assert emulator.stats()["leads"] == 0


def test_upsert_by_external_id(sf: Client, emulator: EmulatorServer) -> None:
    """201, then 200, and 300 where the key is ambiguous."""
    assert sf.Lead.upsert("External_Id__c/L-1", RAY) == 201
    assert sf.Lead.upsert("External_Id__c/L-1", {"FirstName": "Ada"}) == 200
    assert sf.Lead.get_by_custom_id("External_Id__c", "L-1")["FirstName"] == "Ada"

    emulator.seed_leads([{**RAY, "Legacy_Id__c": "x"}, {**RAY, "Legacy_Id__c": "x"}])
    with pytest.raises(SalesforceMoreThanOneRecord):
        sf.Lead.upsert("Legacy_Id__c/x", RAY)


def test_errors(sf: Client) -> None:
    """It reads our error bodies."""
    with pytest.raises(SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
        sf.Lead.create({"LastName": "Ray"})
    with pytest.raises(SalesforceMalformedRequest):
        sf.query("SELECT Foo__c FROM Lead")


def test_it_logs_in_again_when_its_session_expires(sf: Client, emulator: EmulatorServer) -> None:
    """Our 401 makes it ask for a new token and repeat the call."""
    emulator.expire_tokens()

    assert sf.limits()["DailyApiRequests"]["Max"] == 115_000
    assert emulator.stats()["tokens_minted"] == 2


def test_queries_page_by_page(sf: Client, emulator: EmulatorServer) -> None:
    """`query_all` follows nextRecordsUrl; `format_soql` escapes as we read."""
    odd = 'O\'Brien \\ "x"\n100%'
    emulator.seed_leads([RAY] * 2500 + [{**RAY, "Company": odd}])

    assert sf.query_all("SELECT Id, Name FROM Lead")["totalSize"] == 2501
    assert len({record["Id"] for record in sf.query_all_iter("SELECT Id FROM Lead")}) == 2501
    found = sf.query(format_soql("SELECT Company FROM Lead WHERE Company IN {}", [odd, "Nobody"]))
    assert [record["Company"] for record in found["records"]] == [odd]
    like = sf.query(format_soql("SELECT Company FROM Lead WHERE Company LIKE '%{:like}'", "100%"))
    assert like["totalSize"] == 1


def test_describe_and_limits(sf: Client) -> None:
    """And it keeps our usage header."""
    assert {field["name"] for field in sf.Lead.describe()["fields"]} >= {"LastName", "Lead_Stage__c"}
    assert "Lead" in [item["name"] for item in sf.describe()["sobjects"]]
    assert sf.Lead.metadata()["objectDescribe"]["keyPrefix"] == "00Q"
    assert sf.limits()["DailyApiRequests"]["Max"] == 115_000
    assert sf.api_usage["api-usage"].used == 4


def test_collections(sf: Client, emulator: EmulatorServer) -> None:
    """By its door for REST paths of any kind."""
    records = [{"attributes": {"type": "Lead"}, **RAY, "External_Id__c": f"L-{number}"} for number in range(200)]
    made = sf.restful("composite/sobjects", method="POST", json={"allOrNone": False, "records": records})
    again = sf.restful("composite/sobjects/Lead/External_Id__c", method="PATCH", json={"records": records[:2]})
    ids = [outcome["id"] for outcome in made]
    got = sf.restful("composite/sobjects/Lead", params={"ids": ",".join(ids[:3]), "fields": "Id"})

    assert all(outcome["success"] for outcome in made)
    assert [outcome["created"] for outcome in again] == [False, False]
    assert [record["Id"] for record in got] == ids[:3]
    assert emulator.stats()["leads"] == 200
