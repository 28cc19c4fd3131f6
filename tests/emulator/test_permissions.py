"""Permissions of the run-as user, taken away one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.emulator.bulk import leads_csv
from tests.emulator.client import code, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.emulator.bulk import Bulk
    from tests.emulator.client import Api

_AS_RECORDED = {"Title": True, "Address": True, "FirstName": False, "Salutation": False, "Status": False,
                "OwnerId": False, "ConvertedContactId": False, "EmailBouncedReason": False, "IsUnreadByOwner": False,
                "LastActivityDate": False}  # fmt: skip


def _described(api: Api) -> dict[str, Any]:
    described: dict[str, Any] = api.get("/sobjects/Lead/describe").json()
    described["by_name"] = {field["name"]: field for field in described["fields"]}
    return described


def _error(reply: requests.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()[0]["errorCode"]


def test_a_user_who_may_not_read_leads_sees_none(api: Api, emulator: EmulatorServer) -> None:
    """As with `lead_access`."""
    emulator.change_settings(denied=["Lead.Read"])

    assert _error(api.get("/sobjects/Lead/describe")) == (404, "NOT_FOUND")
    assert _error(api.get("/query", q="SELECT Id FROM Lead")) == (400, "INVALID_TYPE")
    assert code(api.create(lead())[0]) == "INVALID_TYPE"
    assert "Lead" not in [item["name"] for item in api.get("/sobjects").json()["sobjects"]]


@pytest.mark.parametrize(
    ("denied", "flags"),
    [
        ("Lead.Create", {"createable": False, "updateable": True, "deletable": True}),
        ("Lead.Edit", {"createable": True, "updateable": False, "deletable": False}),
        ("Lead.Delete", {"createable": True, "updateable": True, "deletable": False}),
    ],
)
def test_describe_says_what_may_be_done_to_leads(
    api: Api, emulator: EmulatorServer, denied: str, flags: dict[str, bool]
) -> None:
    """The object and each field."""
    emulator.change_settings(denied=[denied])
    described = _described(api)

    assert {name: described[name] for name in flags} == flags
    of_field = described["by_name"]["Phone"]
    assert (of_field["createable"], of_field["updateable"]) == (flags["createable"], flags["updateable"])
    assert not described["by_name"]["Name"]["createable"]


def test_who_may_not_create_updates(api: Api, bulk: Bulk, emulator: EmulatorServer) -> None:
    """The refusal is what an integration user without Create was seen to get."""
    (known,) = emulator.seed_leads([{"LastName": "Ray", "Company": "Acme", "External_Id__c": "K-1"}])
    emulator.change_settings(denied=["Lead.Create"])

    old, new = api.upsert("External_Id__c", lead(External_Id__c="K-1"), lead(External_Id__c="K-2"))
    assert (code(old), code(new)) == ("ok", "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")
    single = api.call("POST", "/sobjects/Lead", json={"LastName": "Ray", "Company": "Acme"})
    assert _error(single) == (400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY")
    info = bulk.run(leads_csv(1))
    assert bulk.results(info["id"], "failedResults")[0]["sf__Error"].startswith("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:")
    assert [found["Id"] for found in emulator.leads()] == [known]


def test_who_may_not_edit_creates(api: Api, bulk: Bulk, emulator: EmulatorServer) -> None:
    """Sales goes on editing."""
    (known,) = emulator.seed_leads([{"LastName": "Ray", "Company": "Acme"}])
    emulator.change_settings(denied=["Lead.Edit"])

    assert code(api.create(lead())[0]) == "ok"
    assert code(api.update(lead(Id=known))[0]) == "INSUFFICIENT_ACCESS_OR_READONLY"
    assert _error(api.call("PATCH", f"/sobjects/Lead/{known}", json={"City": "Ulm"})) == (
        403,
        "INSUFFICIENT_ACCESS_OR_READONLY",
    )
    info = bulk.run(f"Id,City\n{known},Ulm\n", operation="update")
    assert bulk.results(info["id"], "failedResults")[0]["sf__Error"].startswith("INSUFFICIENT_ACCESS_OR_READONLY:")
    emulator.edit_lead(known, City="Bonn")
    assert emulator.lead(known)["City"] == "Bonn"


def test_who_may_not_delete_does_the_rest(api: Api, emulator: EmulatorServer) -> None:
    """Deleting is a permission of its own."""
    (known,) = emulator.seed_leads([{"LastName": "Ray", "Company": "Acme"}])
    emulator.change_settings(denied=["Lead.Delete"])

    assert _error(api.call("DELETE", f"/sobjects/Lead/{known}")) == (403, "INSUFFICIENT_ACCESS_OR_READONLY")
    assert code(api.update(lead(Id=known))[0]) == "ok"


def test_a_field_that_may_not_be_read_does_not_exist(api: Api, emulator: EmulatorServer) -> None:
    """In describe, in queries, in writes."""
    emulator.change_settings(denied=["Lead.Phone.Read"])

    assert "Phone" not in _described(api)["by_name"]
    assert _error(api.get("/query", q="SELECT Phone FROM Lead")) == (400, "INVALID_FIELD")
    written = api.call("POST", "/composite/sobjects", json={"records": [lead(Phone="1")]})
    assert _error(written) == (400, "INVALID_FIELD")


def test_a_field_that_may_not_be_edited_is_read(api: Api, emulator: EmulatorServer) -> None:
    """Describe says so, and a record with it is refused."""
    emulator.seed_leads([{"LastName": "Ray", "Company": "Acme", "Phone": "1"}])
    emulator.change_settings(denied=["Lead.Phone.Edit"])

    of_field = _described(api)["by_name"]["Phone"]
    assert (of_field["createable"], of_field["updateable"]) == (False, False)
    assert api.query("SELECT Phone FROM Lead") == [{"Phone": "1"}]
    assert code(api.create(lead(Phone="2"))[0]) == "INVALID_FIELD_FOR_INSERT_UPDATE"
    emulator.seed_leads([{"LastName": "Poe", "Company": "Acme", "Phone": "2"}])


@pytest.mark.parametrize("settings", [{"denied": ["Contact.Read"]}, {"hidden_objects": ["Contact"]}], ids=str)
def test_who_may_not_read_contacts_does_not_see_the_lookup_to_them(
    api: Api, emulator: EmulatorServer, settings: dict[str, Any]
) -> None:
    """The lookup field goes with the object that it leads to; those to accounts are another matter."""
    assert "ConvertedContactId" in _described(api)["by_name"]
    emulator.change_settings(**settings)

    fields = _described(api)["by_name"]
    assert "ConvertedContactId" not in fields
    assert "ConvertedAccountId" in fields
    assert _error(api.get("/query", q="SELECT ConvertedContactId FROM Lead")) == (400, "INVALID_FIELD")
    assert _error(api.get("/query", q="SELECT Id FROM Contact")) == (400, "INVALID_TYPE")


def test_a_field_of_contacts_can_be_withheld(api: Api, emulator: EmulatorServer) -> None:
    """By itself."""
    emulator.change_settings(denied=["Contact.Email.Read"])

    assert api.query("SELECT Id FROM Contact") == []
    assert _error(api.get("/query", q="SELECT Id FROM Contact WHERE Email = 'x'")) == (400, "INVALID_FIELD")


def test_what_view_setup_opens(api: Api, emulator: EmulatorServer) -> None:
    """Limits and assignment rules."""
    emulator.change_settings(denied=["ViewSetup"])

    assert _error(api.get("/limits"))[0] == 403
    assert _error(api.get("/query", q="SELECT Id FROM AssignmentRule")) == (400, "INVALID_TYPE")


def test_without_api_enabled_every_call_is_refused(api: Api, emulator: EmulatorServer) -> None:
    """As with `api_enabled`."""
    emulator.change_settings(denied=["ApiEnabled"])

    assert _error(api.get("/sobjects/Lead/describe")) == (403, "API_DISABLED_FOR_ORG")


def test_describe_tells_to_which_fields_permissions_apply(api: Api) -> None:
    """As in a recorded describe."""
    fields = _described(api)["by_name"]

    assert {name: fields[name]["permissionable"] for name in _AS_RECORDED} == _AS_RECORDED
    assert fields["Lead_Stage__c"]["permissionable"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Lead.Reed", "Unknown permission 'Lead.Reed'"),
        ("lead.read", "Unknown permission 'lead.read'"),
        ("Lead.Nonsense__c.Read", "Unknown permission"),
        ("Lead.LastName.Read", "does not apply to required and system fields"),
        ("Lead.ConvertedContactId.Read", "does not apply to required and system fields"),
        ("Contact.Email.Edit", "contacts are only read here"),
    ],
)
def test_a_name_that_is_no_permission_is_refused(emulator: EmulatorServer, name: str, said: str) -> None:
    """With those that are."""
    reply = requests.patch(f"{emulator.url}/_emulator/settings", json={"denied": [name]}, timeout=10)

    assert reply.status_code == 400
    assert said in reply.json()["error"]
    assert "Lead.Lead_Stage__c.Edit" in reply.json()["error"]
    assert emulator.settings.denied == ()


def test_fields_of_the_org_have_permissions_too(api: Api, emulator: EmulatorServer) -> None:
    """Those that a setting adds."""
    emulator.change_settings(extra_fields=[{"name": "Tier__c", "length": 20}], denied=["Lead.Tier__c.Edit"])

    assert _described(api)["by_name"]["Tier__c"]["createable"] is False
