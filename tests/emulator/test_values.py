# ruff: noqa: S608 - SOQL, not SQL

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.client import Api, Record, code, lead

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer


@pytest.mark.parametrize(
    ("fields", "error", "message", "named"),
    [
        (
            {"Company": "x" * 256},
            "STRING_TOO_LONG",
            f"Company: data value too large: {'x' * 256} (max length=255)",
            ["Company"],
        ),
        ({"FirstName": "x" * 41}, "STRING_TOO_LONG", None, ["FirstName"]),
        ({"LastName": "陳" * 81}, "STRING_TOO_LONG", None, ["LastName"]),
        ({"Email": "nope"}, "INVALID_EMAIL_ADDRESS", "Email: invalid email address: nope", ["Email"]),
        ({"Email": "a@b@c.de"}, "INVALID_EMAIL_ADDRESS", None, ["Email"]),
        (
            {"Segment__c": "Tiny"},
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "Segment: bad value for restricted picklist field: Tiny",
            ["Segment__c"],
        ),
        ({"NumberOfEmployees": 100_000_000}, "NUMBER_OUTSIDE_VALID_RANGE", None, ["NumberOfEmployees"]),
        ({"Budget__c": 1e14}, "NUMBER_OUTSIDE_VALID_RANGE", None, ["Budget__c"]),
        ({"Qualified_On__c": "1066-10-14"}, "FIELD_INTEGRITY_EXCEPTION", None, ["Qualified_On__c"]),
        ({"Is_Trial__c": None}, "INVALID_TYPE_ON_FIELD_IN_RECORD", None, ["Is_Trial__c"]),
        ({"CreatedDate": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE", None, ["CreatedDate"]),
        ({"Name": "Ada"}, "INVALID_FIELD_FOR_INSERT_UPDATE", None, ["Name"]),
        ({"Id": "00Q5g0000000001EAA"}, "INVALID_FIELD_FOR_INSERT_UPDATE", None, ["Id"]),
        ({"OwnerId": "nope"}, "MALFORMED_ID", "Owner ID: id value of incorrect type: nope", ["OwnerId"]),
        ({"OwnerId": "0055g00000zzzzzAAA"}, "INVALID_CROSS_REFERENCE_KEY", None, ["OwnerId"]),
        ({"OwnerId": "0055g0000000003AAA"}, "INACTIVE_OWNER_OR_USER", None, ["OwnerId"]),
        ({"LastName": "  "}, "REQUIRED_FIELD_MISSING", "Required fields are missing: [LastName]", ["LastName"]),
        ({"Status": None}, "REQUIRED_FIELD_MISSING", None, ["Status"]),
    ],
)
def test_a_bad_value_fails_its_record(
    api: Api, fields: Record, error: str, message: str | None, named: list[str]
) -> None:
    """In Salesforce's words, and with the field's name."""
    bad, good = api.create(lead(**fields), lead())

    assert bad["errors"][0]["statusCode"] == error
    assert bad["errors"][0]["fields"] == named
    assert message in {None, bad["errors"][0]["message"]}
    assert code(good) == "ok"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Score_Date__c", "2026-11-24"),
        ("Score_Date__c", "2026-11-24T00:10:00"),
        ("Score_Date__c", "2026-11-24 00:10:00Z"),
        ("Score_Date__c", "2026-02-30T00:00:00Z"),
        ("Qualified_On__c", "2026-02-30"),
        ("Qualified_On__c", "2026-11-24T00:00:00Z"),
        ("Qualified_On__c", 20261124),
        ("NumberOfEmployees", 5.5),
        ("NumberOfEmployees", True),
        ("Lead_Score__c", True),
        ("LastName", ["Ray"]),
        ("LastName", {"x": 1}),
        ("LastName", True),
        ("Is_Trial__c", 1),
        ("OwnerId", 5),
    ],
)
def test_a_value_of_the_wrong_json_type_is_a_parser_error(api: Api, field: str, value: object) -> None:
    """It costs the whole call."""
    reply = api.call("POST", "/composite/sobjects", json={"records": [lead(**{field: value})]})

    assert reply.status_code == 400
    assert reply.json()[0]["errorCode"] == "JSON_PARSER_ERROR"
    assert reply.json()[0]["message"].startswith("Cannot deserialize instance of ")


@pytest.mark.parametrize(
    ("field", "sent", "stored"),
    [
        ("FirstName", "  Ada  ", "Ada"),
        ("FirstName", "", None),
        ("FirstName", "x" * 40 + "   ", "x" * 40),
        ("FirstName", "\u00a0Ada", "\u00a0Ada"),
        ("LastName", "😀" * 80, "😀" * 80),
        ("Company", "a\u2028b\u0085c \"d\" 'e' \\f", "a\u2028b\u0085c \"d\" 'e' \\f"),
        ("Description", "one\r\ntwo\nthree\rfour", "one\r\ntwo\nthree\rfour"),
        ("Lead_Stage__c", "Something else", "Something else"),
        ("Lead_Stage__c", "mql", "MQL"),
        ("Segment__c", "MID-market", "Mid-Market"),
        ("Interests__c", "Product;Pricing", "Product;Pricing"),
        ("Interests__c", "PRICING;other;pricing", "Pricing;other"),
        ("Lead_Score__c", 5, 5.0),
        ("Lead_Score__c", 1.005, 1.01),
        ("Lead_Score__c", -0.001, 0.0),
        ("Employees_Exact__c", 12, 12.0),
        ("NumberOfEmployees", 12, 12),
        ("Is_Trial__c", True, True),
        ("Qualified_On__c", "2026-11-24", "2026-11-24"),
        ("Score_Date__c", "2026-11-24T02:10:00.123+02:00", "2026-11-24T00:10:00.000+0000"),
        ("Score_Date__c", "2026-11-24T00:10:00Z", "2026-11-24T00:10:00.000+0000"),
        ("Score_Date__c", "2026-11-23T19:10:00-0500", "2026-11-24T00:10:00.000+0000"),
        ("company", "Poe Ltd", "Poe Ltd"),
        ("OwnerId", "0055g0000000002", "0055g0000000002AAA"),
    ],
)
def test_what_is_stored(api: Api, emulator: EmulatorServer, field: str, sent: object, stored: object) -> None:
    """Text is trimmed of spaces and nothing else, picklists have spellings of their own, numbers are rounded."""
    record = {name: value for name, value in lead().items() if name.lower() != field.lower()}
    (outcome,) = api.create({**record, field: sent}, headers={"Sforce-Auto-Assign": "FALSE"})
    assert code(outcome) == "ok", outcome

    canonical = {"company": "Company"}.get(field, field)
    assert emulator.lead(outcome["id"])[canonical] == stored
    assert api.query(f"SELECT {field} FROM Lead") == [{canonical: stored}]


def test_every_bad_field_of_a_record_is_told(api: Api) -> None:
    """Not only the first."""
    (outcome,) = api.create({"attributes": {"type": "Lead"}, "Email": "nope", "FirstName": "x" * 41})

    assert [error["statusCode"] for error in outcome["errors"]] == [
        "INVALID_EMAIL_ADDRESS",
        "STRING_TOO_LONG",
        "REQUIRED_FIELD_MISSING",
    ]


def test_null_clears_and_absence_leaves(api: Api, emulator: EmulatorServer) -> None:
    """Only what is sent changes."""
    (lead_id,) = emulator.seed_leads([lead(FirstName="Ada", City="Rome")])
    api.update({"attributes": {"type": "Lead"}, "Id": lead_id, "City": None})

    assert emulator.lead(lead_id)["FirstName"] == "Ada"
    assert emulator.lead(lead_id)["City"] is None
    assert emulator.lead(lead_id)["Address"] is None


def test_the_compound_fields_follow(api: Api, emulator: EmulatorServer) -> None:
    """Name and Address are made of their parts."""
    (outcome,) = api.create(lead(FirstName="Ada", City="Rome", Country="Italy"))
    stored = emulator.lead(outcome["id"])

    assert stored["Name"] == "Ada Ray"
    assert (stored["Address"]["city"], stored["Address"]["street"]) == ("Rome", None)


def test_a_lone_surrogate_becomes_a_question_mark(api: Api, emulator: EmulatorServer) -> None:
    """JSON can spell what UTF-8 cannot."""
    body = b'{"LastName": "a\\ud83d", "Company": "\\ud83d\\ude00"}'
    reply = api.call("POST", "/sobjects/Lead", data=body, headers={"Content-Type": "application/json"})

    stored = emulator.lead(reply.json()["id"])
    assert (stored["LastName"], stored["Company"]) == ("a?", "😀")
