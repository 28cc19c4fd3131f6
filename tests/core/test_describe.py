"""Describe, as far as a sync needs it."""

from __future__ import annotations

from airflow_provider_sfleads.salesforce.describe import parse_describe

EMAIL = {
    "name": "Email", "type": "email", "length": 80, "precision": 0, "scale": 0, "digits": 0, "nillable": True,
    "createable": True, "updateable": False, "defaultedOnCreate": False, "externalId": False, "idLookup": True,
    "unique": False, "caseSensitive": False, "restrictedPicklist": False, "picklistValues": [],
}  # fmt: skip
STATUS = {
    "name": "Status",
    "type": "picklist",
    "length": 255,
    "nillable": False,
    "createable": True,
    "updateable": True,
    "defaultedOnCreate": True,
    "restrictedPicklist": True,
    "picklistValues": [
        {"active": True, "value": "Open - Not Contacted", "label": "Open"},
        {"active": False, "value": "Old", "label": "Old"},
    ],
}


def required(name: str, **more: object) -> dict[str, object]:
    """Return a field that must be given on create, if nothing more is said."""
    return {"name": name, "type": "string", "nillable": False, "createable": True, "updateable": True} | more


def test_fields_are_read() -> None:
    """Every property that a sync uses is read."""
    lead = parse_describe({"name": "Lead", "fields": [EMAIL, STATUS]})
    email, status = lead.find("Email"), lead.find("Status")
    assert email is not None
    assert status is not None
    assert (email.type, email.length, email.id_lookup, email.createable, email.updateable) == (
        "email", 80, True, True, False,
    )  # fmt: skip
    assert status.restricted_picklist
    assert status.picklist_values == ("Open - Not Contacted",)


def test_names_in_any_case() -> None:
    """A field is found whatever the letter case, and has its own name."""
    lead = parse_describe({"name": "Lead", "fields": [EMAIL]})
    found = lead.find("eMAIL")
    assert found is not None
    assert found.name == "Email"
    assert lead.find("Phone") is None


def test_required_on_create() -> None:
    """Required is what cannot be empty, can be written, and has no default; a checkbox always has one."""
    fields = [
        required("LastName"),
        required("Nillable", nillable=True),
        required("ReadOnly", createable=False),
        required("Defaulted", defaultedOnCreate=True),
        required("Box__c", type="boolean"),
    ]
    lead = parse_describe({"name": "Lead", "fields": fields})
    assert [info.name for info in lead.required_on_create] == ["LastName"]


def test_what_is_left_out_or_null_is_off() -> None:
    """Properties that are absent or null count as off, and as no limit."""
    lead = parse_describe(
        {"name": "Lead", "fields": [{"name": "X", "type": "string", "picklistValues": None, "length": None}]}
    )
    found = lead.find("X")
    assert found is not None
    assert (found.length, found.picklist_values, found.unique, found.createable) == (0, (), False, False)
