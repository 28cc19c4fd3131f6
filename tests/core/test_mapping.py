"""From rows to records, and every reason why not at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_sfleads.core.mapping import (
    BoundMapping,
    FieldMap,
    Purpose,
    bind,
    check_external_id,
    missing_columns,
    overruled_owner,
)
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo

FIELDS = (
    FieldInfo(name="LastName", type="string", length=80, nillable=False),
    FieldInfo(name="Company", type="string", length=255, nillable=False),
    FieldInfo(name="Email", type="email", length=80, id_lookup=True),
    FieldInfo(name="Score__c", type="double", precision=5),
    FieldInfo(name="Box__c", type="boolean", nillable=False),
    FieldInfo(name="Name", type="string", createable=False, updateable=False),
    FieldInfo(name="OnlyOnce__c", type="string", updateable=False),
    FieldInfo(name="Key__c", type="string", length=36, external_id=True, unique=True),
    FieldInfo(name="Loose__c", type="string", external_id=True),
    FieldInfo(name="Sealed__c", type="string", external_id=True, filterable=False),
)
LEAD = SObjectInfo(name="Lead", fields={info.name.lower(): info for info in FIELDS})
BOTH = Purpose(creates=True, updates=True)
CREATE = Purpose(creates=True, updates=False)
UPDATE = Purpose(creates=False, updates=True)
MINIMAL = {"name": "LastName", "firm": "Company"}


def bound(field_map: FieldMap, purpose: Purpose = CREATE, **more: tuple[str, ...]) -> BoundMapping:
    """Bind what must fit."""
    result = bind(field_map, LEAD, purpose, **more)
    assert isinstance(result, BoundMapping), result
    return result


def problems(field_map: FieldMap, purpose: Purpose = CREATE, **more: tuple[str, ...]) -> tuple[str, ...]:
    """Bind what must not fit."""
    result = bind(field_map, LEAD, purpose, **more)
    assert isinstance(result, tuple)
    return result


def test_names_become_canonical() -> None:
    """Fields are named in any letter case and written in Salesforce's own."""
    mapping = bound(FieldMap(columns={"name": "lastname"}, constants={"COMPANY": "Acme"}))
    assert mapping.field_names == ("LastName", "Company")
    assert mapping.record({"name": "Ray"}) == {"LastName": "Ray", "Company": "Acme"}


def test_every_problem_at_once() -> None:
    """One answer lists all that is wrong, each with what it is about."""
    columns = {"a": "Nope__c", "b": "Name", "c": "Company", "d": "company", "e": "Key__c", "f": "OnlyOnce__c"}
    found = problems(
        FieldMap(columns=columns, constants={"Score__c": "many", "Gone__c": 1, "Name": "x"}), BOTH, reserved=("key__C",)
    )
    expected = [
        "column 'a' -> Nope__c: Lead has no such field",
        "column 'b' -> Name: the field is read-only on create and update",
        "column 'd' -> Company: column 'c' is mapped to it too",
        "column 'e' -> Key__c: the sync itself writes it",
        "column 'f' -> OnlyOnce__c: the field is read-only on update",
        "constant -> Score__c: INVALID_TYPE_ON_FIELD_IN_RECORD",
        "constant -> Gone__c: Lead has no such field",
        "constant -> Name: the field is read-only on create and update",
        "LastName: Salesforce requires it on create",
    ]
    assert len(found) == len(expected)
    assert all(sentence.startswith(start) for sentence, start in zip(found, expected, strict=True)), found


def test_what_an_update_needs() -> None:
    """An update needs no required fields, and may not write what only a create may."""
    assert bound(FieldMap(columns={"mail": "Email"}), UPDATE).required == ()
    assert len(problems(FieldMap(columns={"x": "OnlyOnce__c"}), UPDATE)) == 1
    assert bound(FieldMap(columns=MINIMAL | {"x": "OnlyOnce__c"})).required == ("LastName", "Company")


def test_a_column_and_a_constant_for_one_field() -> None:
    """A field has one source."""
    (problem,) = problems(FieldMap(columns=MINIMAL, constants={"company": "Acme"}))
    assert problem == "constant -> Company: column 'firm' is mapped to it too"


def test_a_reserved_field_counts_as_written() -> None:
    """What the sync writes itself need not be mapped."""
    assert bound(FieldMap(columns={"firm": "Company"}), reserved=("LastName",)).required == ("Company",)


def test_constants_are_converted() -> None:
    """Constants have the field's type, as Jinja renders text."""
    mapping = bound(FieldMap(columns=MINIMAL, constants={"Score__c": "12", "Box__c": "yes"}))
    assert mapping.constants == {"Score__c": Decimal(12), "Box__c": True}


def test_long_constants_are_cut_or_refused() -> None:
    """Truncate holds for constants, too."""
    constants = {"LastName": "x" * 81, "Company": "Acme"}
    assert bound(FieldMap(constants=constants, truncate=True)).constants["LastName"] == "x" * 80
    assert "STRING_TOO_LONG" in problems(FieldMap(constants=constants))[0]


def test_nulls_are_left_out() -> None:
    """With nulls="ignore" a field without a value is not sent."""
    mapping = bound(FieldMap(columns=MINIMAL | {"mail": "Email", "box": "Box__c"}))
    row = {"name": "Ray", "firm": "Acme", "mail": " ", "box": None}
    assert mapping.record(row) == {"LastName": "Ray", "Company": "Acme"}


def test_nulls_clear() -> None:
    """With nulls="clear" it is emptied; a checkbox is unchecked."""
    mapping = bound(FieldMap(columns=MINIMAL | {"mail": "Email", "box": "Box__c"}, nulls="clear"))
    row = {"name": "Ray", "firm": "Acme", "mail": float("nan"), "box": ""}
    assert mapping.record(row) == {"LastName": "Ray", "Company": "Acme", "Email": None, "Box__c": False}


def test_several_refusals_in_one_row() -> None:
    """One refusal speaks for all fields of a row, what is missing first."""
    mapping = bound(FieldMap(columns=MINIMAL | {"mail": "Email", "score": "Score__c"}))
    refusal = mapping.record({"name": None, "firm": "x" * 256, "mail": "nope", "score": "many"})
    assert isinstance(refusal, Refusal)
    assert refusal.code == "REQUIRED_FIELD_MISSING"
    assert refusal.fields == ("LastName", "Company", "Email", "Score__c")
    assert refusal.message.startswith("Required fields are missing: [LastName]; Company: data value too large")
    assert "nope" not in refusal.message


def test_a_refused_value_is_not_missing() -> None:
    """A required field with a bad value is one problem, not two."""
    refusal = bound(FieldMap(columns=MINIMAL)).record({"name": "x" * 81, "firm": "Acme"})
    assert isinstance(refusal, Refusal)
    assert refusal.code == "STRING_TOO_LONG"
    assert refusal.fields == ("LastName",)


def test_required_fields_can_wait() -> None:
    """Where the lead may exist, required fields are not asked of the row, but can be asked of the record later."""
    mapping = bound(FieldMap(columns=MINIMAL))
    record = mapping.record({"name": None, "firm": "Acme"}, need_required=False)
    assert record == {"Company": "Acme"}
    lacking = mapping.lacking({"Company": "Acme"})
    assert lacking is not None
    assert lacking.fields == ("LastName",)
    assert mapping.lacking({"Company": "Acme", "LastName": "Ray"}) is None


@pytest.mark.parametrize(
    ("name", "unique", "words"),
    [
        ("Nope__c", True, "no such field"),
        ("Company", True, "not an external ID"),
        ("Loose__c", True, "not unique"),
        ("Email", True, "not unique"),
        ("Sealed__c", False, "finds no leads by it"),
    ],
)
def test_fields_that_cannot_be_the_key(name: str, unique: bool, words: str) -> None:  # noqa: FBT001
    """An external-ID field exists, is one, and is unique where the sync relies on that."""
    found = check_external_id(LEAD, name, CREATE, unique=unique)
    assert isinstance(found, str)
    assert words in found


@pytest.mark.parametrize(("name", "unique"), [("key__C", True), ("Loose__c", False), ("Email", False)])
def test_fields_that_can_be_the_key(name: str, unique: bool) -> None:  # noqa: FBT001
    """Otherwise it is found in any letter case."""
    found = check_external_id(LEAD, name, CREATE, unique=unique)
    assert isinstance(found, FieldInfo)
    assert found.name.lower() == name.lower()


def test_missing_columns() -> None:
    """Each missing column is named with its use and what there is instead."""
    found = missing_columns({"id": "key", "Name": "mapped to LastName", "x": "score"}, ("id", "name"))
    text = " ".join(found)
    for words in ("'Name' (mapped to LastName)", "'x' (score)", "'id', 'name'"):
        assert words in text
    assert missing_columns({"id": "key"}, ("id",)) == ()


def test_two_constants_for_one_field() -> None:
    """Constants that differ only in letter case are a problem, not a race."""
    assert problems(FieldMap(columns=MINIMAL, constants={"Email": "a@b.co", "email": "c@d.co"}))


@pytest.mark.parametrize("blank", [None, "", " "])
def test_a_blank_constant_for_a_required_field(blank: object) -> None:
    """A required field with a constant that is nothing is a problem of the mapping."""
    assert problems(FieldMap(columns={"name": "LastName"}, constants={"Company": blank}))


def test_a_blank_constant_unchecks() -> None:
    """A checkbox has no null, in constants either."""
    assert bound(FieldMap(columns=MINIMAL, constants={"Box__c": None})).constants["Box__c"] is False


def test_a_required_field_is_not_cleared() -> None:
    """A row that would empty a required field of a lead is refused here and costs no call."""
    mapping = bound(FieldMap(columns={"name": "LastName"}, nulls="clear"), UPDATE)
    assert isinstance(mapping.record({"name": None}), Refusal)


@pytest.mark.parametrize(("rule", "said"), [("TRUE", "'default'"), ("01Q5g0000000001EAA", "'01Q5g0000000001EAA'")])
@pytest.mark.parametrize("name", ["OwnerId", "ownerid", "OWNERID"])
def test_a_mapped_owner_is_lost_to_a_rule(name: str, rule: str, said: str) -> None:
    """Column or constant, in any letter case, to any rule; both ways out are named."""
    for field_map, source in (
        (FieldMap(columns={"who": name}), "column 'who' -> OwnerId"),
        (FieldMap(constants={name: "005"}), "constant -> OwnerId"),
    ):
        (sentence,) = overruled_owner(field_map, rule)
        for words in (source, f"assignment_rule={said}", "assignment_rule=None", "leave OwnerId out"):
            assert words in sentence
        assert overruled_owner(field_map, "FALSE") == ()
    assert overruled_owner(FieldMap(columns=MINIMAL), rule) == ()
