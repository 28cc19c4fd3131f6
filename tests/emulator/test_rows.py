from __future__ import annotations

from typing import TYPE_CHECKING

from tests.emulator.client import Api

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

RAY = {"LastName": "Ray", "Company": "Acme"}


def test_a_lead_is_created_read_changed_and_deleted(api: Api, emulator: EmulatorServer) -> None:
    """201, 200, 204, 204, then 404 because it lies in the recycle bin."""
    made = api.call("POST", "/sobjects/Lead", json=RAY)
    lead_id = made.json()["id"]
    assert (made.status_code, made.json()) == (201, {"id": lead_id, "success": True, "errors": []})

    shown = api.get(f"/sobjects/Lead/{lead_id}", fields="lastname,Company").json()
    assert shown == {
        "attributes": {"type": "Lead", "url": f"/services/data/v60.0/sobjects/Lead/{lead_id}"},
        "LastName": "Ray",
        "Company": "Acme",
        "Id": lead_id,
    }
    changed = api.call("PATCH", f"/sobjects/Lead/{lead_id[:15]}", json={"FirstName": "Ada", "Company": None})
    assert changed.json()[0]["fields"] == ["Company"]
    changed = api.call("PATCH", f"/sobjects/Lead/{lead_id[:15]}", json={"firstname": "Ada"})
    assert (changed.status_code, changed.content) == (204, b"")
    assert emulator.lead(lead_id)["Name"] == "Ada Ray"

    assert api.call("DELETE", f"/sobjects/Lead/{lead_id}").status_code == 204
    gone = api.get(f"/sobjects/Lead/{lead_id}")
    assert (gone.status_code, gone.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
    assert api.call("PATCH", f"/sobjects/Lead/{lead_id}", json={}).status_code == 404


def test_single_rows_say_errorcode_and_fields(api: Api) -> None:
    """Where collections say statusCode."""
    reply = api.call("POST", "/sobjects/Lead", json={"FirstName": "Ada"})

    assert reply.status_code == 400
    assert reply.json() == [
        {
            "message": "Required fields are missing: [LastName, Company]",
            "errorCode": "REQUIRED_FIELD_MISSING",
            "fields": ["LastName", "Company"],
        }
    ]


def test_an_upsert_says_whether_it_created(api: Api) -> None:
    """201 with created true, then 200 with created false; old versions say 204."""
    path = "/sobjects/Lead/External_Id__c/L%2F1"
    made = api.call("PATCH", path, json=RAY)
    again = api.call("PATCH", path, json={"FirstName": "Ada"})
    old = Api(api.server, version="45.0").login().call("PATCH", path, json={"FirstName": "Eve"})

    assert (made.status_code, made.json()["created"]) == (201, True)
    assert (again.status_code, again.json()["created"]) == (200, False)
    assert old.status_code == 204
    assert api.get(path).json()["External_Id__c"] == "L/1"


def test_update_only_never_creates(api: Api, emulator: EmulatorServer) -> None:
    """404 instead."""
    reply = api.call("PATCH", "/sobjects/Lead/External_Id__c/L-1?updateOnly=true", json=RAY)

    assert reply.status_code == 404
    assert emulator.leads() == []


def test_an_ambiguous_key_is_http_300_and_writes_nothing(api: Api, emulator: EmulatorServer) -> None:
    """The body lists the records."""
    ids = emulator.seed_leads([{**RAY, "Legacy_Id__c": "x"}, {**RAY, "Legacy_Id__c": "X"}])
    reply = api.call("PATCH", "/sobjects/Lead/Legacy_Id__c/x", json={"LastName": "Poe"})

    assert reply.status_code == 300
    assert reply.json() == [f"/services/data/v60.0/sobjects/Lead/{lead_id}" for lead_id in ids]
    assert {item["LastName"] for item in emulator.leads()} == {"Ray"}
    assert api.get("/sobjects/Lead/Legacy_Id__c/x").status_code == 300


def test_the_key_of_the_url_may_not_be_in_the_body(api: Api) -> None:
    """INVALID_FIELD."""
    reply = api.call("PATCH", "/sobjects/Lead/External_Id__c/L-1", json={**RAY, "External_Id__c": "L-1"})

    assert (reply.status_code, reply.json()[0]["errorCode"]) == (400, "INVALID_FIELD")


def test_what_is_no_id_is_taken_for_a_key_field(api: Api) -> None:
    """The message says so."""
    reply = api.get("/sobjects/Lead/nonsense")

    assert reply.status_code == 404
    assert reply.json()[0]["message"] == ("Provided external ID field does not exist or is not accessible: nonsense")
    assert api.get("/sobjects/Lead/City/Rome").status_code == 404
    assert api.get("/sobjects/Lead/00Q5g00000zzzzzEAA").status_code == 404
