from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_sfleads.emulator.wire import ApiError
from tests.emulator.client import Api, code, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

RUN_AS, QUEUE, SECOND_QUEUE = "0055g0000000001AAA", "00G5g0000000001EAA", "00G5g0000000002EAA"
ACTIVE_RULE, INACTIVE_RULE = "01Q5g0000000001EAA", "01Q5g0000000002EAA"


@pytest.mark.parametrize(
    ("headers", "owner"),
    [
        ({}, QUEUE),
        ({"Sforce-Auto-Assign": "true"}, QUEUE),
        ({"Sforce-Auto-Assign": "FALSE"}, RUN_AS),
        ({"Sforce-Auto-Assign": ACTIVE_RULE[:15]}, QUEUE),
        ({"Sforce-Auto-Assign": INACTIVE_RULE}, SECOND_QUEUE),
    ],
)
def test_the_assignment_rule_gives_new_leads_an_owner(
    api: Api, emulator: EmulatorServer, headers: dict[str, str], owner: str
) -> None:
    """Without the header the active rule runs; an inactive one may be named."""
    (outcome,) = api.create(lead(), headers=headers)

    assert emulator.lead(outcome["id"])["OwnerId"] == owner


def test_the_assignment_rule_runs_on_updates_too(api: Api, emulator: EmulatorServer) -> None:
    """It overwrites the owner, unless the header says FALSE."""
    (lead_id,) = emulator.seed_leads([lead()])
    change = {"attributes": {"type": "Lead"}, "Id": lead_id, "FirstName": "Ada"}
    api.update(change, headers={"Sforce-Auto-Assign": "FALSE"})
    assert emulator.lead(lead_id)["OwnerId"] == RUN_AS
    api.update(change)
    assert emulator.lead(lead_id)["OwnerId"] == QUEUE


def test_without_an_active_rule_nothing_is_assigned(api: Api, emulator: EmulatorServer) -> None:
    """SOQL tells which rules are active."""
    emulator.change_settings(assignment_rule_active=False)
    (outcome,) = api.create(lead())

    assert emulator.lead(outcome["id"])["OwnerId"] == RUN_AS
    assert api.query("SELECT Id FROM AssignmentRule WHERE SobjectType = 'Lead' AND Active = true") == []
    assert len(api.query("SELECT Id, Name, Active FROM AssignmentRule WHERE SobjectType='Lead'")) == 2


def test_an_unknown_rule_fails_the_record(api: Api, emulator: EmulatorServer) -> None:
    """INVALID_ASSIGNMENT_RULE."""
    (outcome,) = api.create(lead(), headers={"Sforce-Auto-Assign": "01Q5g00000zzzzzEAA"})

    assert code(outcome) == "INVALID_ASSIGNMENT_RULE"
    assert emulator.leads() == []


@pytest.mark.parametrize(
    "fields", [{"LastName": "Poe", "Email": "ADA@example.com"}, {"LastName": "ray", "Company": "ACME"}]
)
def test_an_alert_rule_stops_duplicates_until_told_otherwise(
    api: Api, emulator: EmulatorServer, fields: dict[str, str]
) -> None:
    """Same e-mail address, or same last name and company; collections tell no matches."""
    emulator.seed_leads([lead(Email="ada@example.com")])
    emulator.change_settings(duplicate_rule="alert")
    (outcome,) = api.create(lead(**fields))
    assert outcome["errors"] == [
        {"statusCode": "DUPLICATES_DETECTED", "message": "Use one of these records?", "fields": []}
    ]

    (outcome,) = api.create(lead(**fields), headers={"Sforce-Duplicate-Rule-Header": "allowSave=true"})
    assert code(outcome) == "ok"


def test_a_block_rule_cannot_be_overridden_and_single_rows_list_the_matches(api: Api, emulator: EmulatorServer) -> None:
    """The key is spelled as on the real wire: duplicateResut."""
    (known,) = emulator.seed_leads([lead()])
    emulator.change_settings(duplicate_rule="block")
    reply = api.call(
        "POST",
        "/sobjects/Lead",
        json={"LastName": "Ray", "Company": "Acme"},
        headers={"Sforce-Duplicate-Rule-Header": "allowSave=true"},
    )

    assert reply.status_code == 400
    (error,) = reply.json()
    assert error["errorCode"] == "DUPLICATES_DETECTED"
    assert error["duplicateResut"]["allowSave"] is False
    (found,) = error["duplicateResut"]["matchResults"]
    assert [match["record"]["Id"] for match in found["matchRecords"]] == [known]


def test_the_duplicate_rule_fires_before_the_unique_field(api: Api, emulator: EmulatorServer) -> None:
    """So an existing lead may show as either error."""
    emulator.seed_leads([lead(External_Id__c="L-1")])
    emulator.change_settings(duplicate_rule="alert")
    (outcome,) = api.create(lead(External_Id__c="L-1"))

    assert code(outcome) == "DUPLICATES_DETECTED"


def test_the_duplicate_rule_leaves_updates_alone_that_change_nothing_it_compares(
    api: Api, emulator: EmulatorServer
) -> None:
    """A lead is no duplicate of itself either."""
    emulator.change_settings(duplicate_rule="block")
    ids = emulator_ids = emulator.seed_leads([lead(LastName="A"), lead(LastName="B", Email="b@example.com")])
    kind = {"attributes": {"type": "Lead"}}
    own, taken = api.update(
        {**kind, "Id": ids[0], "LastName": "A", "City": "Rome"},
        {**kind, "Id": emulator_ids[1], "LastName": "A"},
    )

    assert (code(own), code(taken)) == ("ok", "DUPLICATES_DETECTED")


def test_a_validation_rule_keeps_stages_from_going_back(api: Api, emulator: EmulatorServer) -> None:
    """For people, too; what is on no rung is below the first, and without the rule all goes."""
    order = ("Lead", "MQL", "SQL")
    (lead_id,) = emulator.seed_leads([lead(Lead_Stage__c="MQL")])
    emulator.change_settings(forward_only=order)
    back = {"attributes": {"type": "Lead"}, "Id": lead_id, "Lead_Stage__c": "Lead"}
    (outcome,) = api.update(back)
    assert (code(outcome), outcome["errors"][0]["fields"]) == ("FIELD_CUSTOM_VALIDATION_EXCEPTION", ["Lead_Stage__c"])
    assert code(api.update(back | {"Lead_Stage__c": None})[0]) == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    with pytest.raises(ApiError):
        emulator.edit_lead(lead_id, Lead_Stage__c="Lead")
    assert code(api.update({**back, "Lead_Stage__c": "MQL"})[0]) == "ok"
    assert code(api.update({**back, "Lead_Stage__c": "SQL"})[0]) == "ok"

    emulator.change_settings(forward_only=())
    assert code(api.update(back)[0]) == "ok"
