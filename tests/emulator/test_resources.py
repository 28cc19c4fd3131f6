# ruff: noqa: S608 - SOQL, not SQL

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from tests.emulator.client import Api, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


def test_versions_need_no_token_and_cost_nothing(emulator: EmulatorServer) -> None:
    """The list ascends, and says nothing of limits."""
    reply = requests.get(f"{emulator.url}/services/data/", timeout=10)

    assert reply.json()[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert "Sforce-Limit-Info" not in reply.headers
    assert emulator.stats()["api_used"] == 0


def test_every_reply_says_how_much_of_the_limit_is_used(api: Api, emulator: EmulatorServer) -> None:
    """Failed calls count as well; at the limit every call is refused."""
    emulator.change_settings(api_limit=12)
    emulator.set_api_usage(10)

    assert api.get("/limits").headers["Sforce-Limit-Info"] == "api-usage=11/12"
    assert api.get("/nothing/here").headers["Sforce-Limit-Info"] == "api-usage=12/12"
    refused = api.get("/limits")
    assert refused.status_code == 403
    assert refused.json() == [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]


def test_limits_tell_what_is_left(api: Api) -> None:
    """The call itself has been counted."""
    assert api.get("/limits").json()["DailyApiRequests"] == {"Max": 115_000, "Remaining": 114_999}


@pytest.mark.parametrize("path", ["/nothing", "/sobjects/Nothing/describe", "/sobjects/Nothing", "/jobs/other"])
def test_an_unknown_path_is_404(api: Api, path: str) -> None:
    """In Salesforce's words."""
    reply = api.get(path)

    assert reply.status_code == 404
    assert reply.json() == [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]


@pytest.mark.parametrize(("version", "status"), [("60.0", 200), ("99.0", 404), ("60", 404), ("x", 404), ("25.0", 410)])
def test_versions_that_are_not_served_are_refused(api: Api, version: str, status: int) -> None:
    """Unknown ones do not exist, old ones are gone."""
    assert api.session.get(f"{api.server.url}/services/data/v{version}/", timeout=10).status_code == status


def test_a_wrong_method_is_405(api: Api) -> None:
    """And says which would do."""
    reply = api.call("PUT", "/composite/sobjects", json={})

    assert (reply.status_code, reply.json()[0]["errorCode"]) == (405, "METHOD_NOT_ALLOWED")
    assert reply.headers["Allow"] == "DELETE,PATCH,POST"


def test_describe_tells_what_a_mapping_needs(api: Api) -> None:
    """Lengths, types, external ids, restricted picklists, what is required on create."""
    fields = {field["name"]: field for field in api.get("/sobjects/Lead/describe").json()["fields"]}
    required = [
        name
        for name, field in fields.items()
        if not field["nillable"] and field["createable"] and not field["defaultedOnCreate"]
    ]

    assert required == ["LastName", "Company"]
    assert fields["FirstName"]["length"] == 40
    assert fields["External_Id__c"]["externalId"]
    assert fields["External_Id__c"]["unique"]
    assert not fields["External_Id__c"]["caseSensitive"]
    assert not fields["Legacy_Id__c"]["unique"]
    assert fields["Case_Key__c"]["caseSensitive"]
    assert [v["value"] for v in fields["Segment__c"]["picklistValues"]] == ["Enterprise", "Mid-Market", "SMB"]
    assert fields["Segment__c"]["restrictedPicklist"]
    assert not fields["Lead_Stage__c"]["restrictedPicklist"]
    assert not fields["Name"]["createable"]
    assert (fields["Lead_Score__c"]["precision"], fields["Lead_Score__c"]["scale"]) == (18, 2)


def test_describe_is_304_until_it_changes(api: Api, emulator: EmulatorServer) -> None:
    """A client may keep it."""
    known = api.get("/sobjects/Lead/describe").headers["Last-Modified"]
    again = api.call("GET", "/sobjects/Lead/describe", headers={"If-Modified-Since": known})
    older = api.call("GET", "/sobjects/Lead/describe", headers={"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"})

    assert (again.status_code, again.content) == (304, b"")
    assert older.status_code == 200
    assert emulator.stats()["api_used"] == 3


def test_a_hidden_field_does_not_exist_for_the_client(api: Api, emulator: EmulatorServer) -> None:
    """Field-level security: absent from describe, refused on write, unknown to SOQL."""
    emulator.change_settings(hidden_fields=["Lead_Score__c"])

    names = [field["name"] for field in api.get("/sobjects/Lead/describe").json()["fields"]]
    assert "Lead_Score__c" not in names
    written = api.call("POST", "/composite/sobjects", json={"records": [lead(Lead_Score__c=1)]})
    assert written.json()[0]["message"] == "No such column 'Lead_Score__c' on sobject of type Lead"
    asked = api.get("/query", q="SELECT Lead_Score__c FROM Lead")
    assert asked.json()[0]["errorCode"] == "INVALID_FIELD"


def test_extra_fields_are_added_or_replace(api: Api, emulator: EmulatorServer) -> None:
    """The org's custom fields are a setting."""
    emulator.change_settings(
        extra_fields=[
            {
                "name": "Tier__c",
                "label": "Tier",
                "type": "picklist",
                "length": 255,
                "restricted": True,
                "picklist": ["A"],
            },
            {"name": "Company", "label": "Company", "length": 255},
        ]
    )
    good, bad = api.create({"attributes": {"type": "Lead"}, "LastName": "Ray", "Tier__c": "A"}, lead(Tier__c="B"))

    assert good["success"]
    assert bad["errors"][0]["statusCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


def test_a_field_made_a_key_later_finds_older_leads(api: Api, emulator: EmulatorServer) -> None:
    """The index follows the settings."""
    api.create(lead(Lead_Source_Detail__c="D-1"))
    emulator.change_settings(
        extra_fields=[{"name": "Lead_Source_Detail__c", "length": 255, "external_id": True, "unique": True}]
    )

    (outcome,) = api.upsert("Lead_Source_Detail__c", lead(Lead_Source_Detail__c="d-1", LastName="Poe"))
    assert outcome["created"] is False


def test_an_org_without_api_access_says_so(api: Api, emulator: EmulatorServer) -> None:
    """The token is given, the calls are not."""
    emulator.change_settings(api_enabled=False)
    reply = api.get("/limits")

    assert (reply.status_code, reply.json()[0]["errorCode"]) == (403, "API_DISABLED_FOR_ORG")


def test_a_user_without_access_to_lead_sees_none(api: Api, emulator: EmulatorServer) -> None:
    """Paths are 404, SOQL knows no such type, records are refused."""
    emulator.change_settings(lead_access=False)

    assert api.get("/sobjects/Lead/describe").status_code == 404
    assert api.call("POST", "/sobjects/Lead", json={"LastName": "Ray"}).status_code == 404
    assert api.get("/query", q="SELECT Id FROM Lead").json()[0]["errorCode"] == "INVALID_TYPE"
    (outcome,) = api.create(lead())
    assert outcome["errors"][0]["statusCode"] == "INVALID_TYPE"
    assert "Lead" not in [item["name"] for item in api.get("/sobjects").json()["sobjects"]]


def test_long_uris_and_headers_are_refused(api: Api) -> None:
    """414 for the URI alone, 431 for URI and headers together."""
    assert api.get("/query", q="x" * 16_384).status_code == 414
    assert api.call("GET", "/limits", headers={"X-Long": "x" * 16_300}).status_code == 431
    inside = f"SELECT Id FROM Lead WHERE LastName = '{'x' * 3900}'"
    assert api.get("/query", q=inside).status_code == 200


def test_a_body_that_is_not_json_is_refused(api: Api) -> None:
    """By its content type, or by its content."""
    text = api.call("POST", "/sobjects/Lead", data="{}", headers={"Content-Type": "text/plain"})
    broken = api.call("POST", "/sobjects/Lead", data="{", headers={"Content-Type": "application/json"})
    nan = api.call("POST", "/sobjects/Lead", data='{"x": NaN}', headers={"Content-Type": "application/json"})

    assert text.status_code == 415
    assert {reply.json()[0]["errorCode"] for reply in (broken, nan)} == {"JSON_PARSER_ERROR"}


def test_bodies_may_be_gzipped_both_ways(api: Api) -> None:
    """The server decompresses requests, and compresses longer replies for those who accept it."""
    import gzip
    import json

    body = gzip.compress(json.dumps({"LastName": "Ray", "Company": "Acme"}).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}

    assert api.call("POST", "/sobjects/Lead", data=body, headers=headers).status_code == 201
    assert api.get("/sobjects/Lead/describe").headers["Content-Encoding"] == "gzip"
    plain = api.call("GET", "/sobjects/Lead/describe", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
