"""Values that are the same once Salesforce has stored them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.same import same_record, same_value
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo


def field(kind: str, scale: int = 2) -> FieldInfo:
    """A field of a type."""
    return FieldInfo(name="F", type=kind, scale=scale)


@pytest.mark.parametrize(
    ("kind", "sent", "current"),
    [
        ("string", " Ray \n", "Ray"),
        ("string", "", None),
        ("string", None, None),
        ("textarea", "a\nb", "a\r\nb"),
        ("email", "Ray@Example.com", "ray@example.com"),
        ("boolean", False, None),
        ("boolean", True, True),
        ("picklist", "WEB ", "Web"),
        ("picklist", "ÉTÉ", "été"),
        ("multipicklist", "B;A", "A;B"),
        ("multipicklist", "b;A", "a;B"),
        ("multipicklist", "a", "A"),
        ("datetime", "2026-11-24T00:10:00.999Z", "2026-11-24T00:10:00.000+0000"),
        ("datetime", "2026-11-24T00:10:00.000Z", "2026-11-24T01:10:00.000+0100"),
        ("date", "2026-11-24", "2026-11-24"),
        ("double", Decimal("1.50"), 1.5),
        ("int", 7, 7.0),
        ("reference", "00Q5g00000AbCdEEAV", "00Q5g00000AbCdEEAV"),
    ],
)
def test_same(kind: str, sent: object, current: object) -> None:
    """What Salesforce would store as it is already stored is the same."""
    assert same_value(field(kind), sent, current)


@pytest.mark.parametrize(
    ("kind", "sent", "current"),
    [
        ("string", "Ray", "ray"),
        ("textarea", "Ray", "ray"),
        ("combobox", "Ray", "ray"),
        ("picklist", "straße", "strasse"),
        ("picklist", "Web", None),
        ("multipicklist", "a;b", "A"),
        ("string", "Ray", None),
        ("string", None, "Ray"),
        ("string", "\u2028Ray", "Ray"),
        ("boolean", True, None),
        ("boolean", False, True),
        ("multipicklist", "A", "A;B"),
        ("datetime", "2026-11-24T00:10:01.000Z", "2026-11-24T00:10:00.000+0000"),
        ("double", Decimal("1.51"), 1.5),
        ("double", Decimal(0), None),
    ],
)
def test_not_same(kind: str, sent: object, current: object) -> None:
    """Anything else is a change."""
    assert not same_value(field(kind), sent, current)


def test_a_picklist_that_minds_letter_case() -> None:
    """What describe says of the field counts."""
    strict = FieldInfo(name="F", type="picklist", case_sensitive=True)
    assert same_value(strict, "Web", "Web")
    assert not same_value(strict, "web", "Web")


def test_a_scale_rounds() -> None:
    """A number is compared as the field stores it."""
    assert same_value(field("currency"), Decimal("12.345678"), 12.35)
    assert same_value(field("currency", 0), Decimal("1234.4"), 1234)


def test_records_are_compared_by_what_is_sent() -> None:
    """Only the fields sent count, found in any letter case; an unknown one is a change."""
    lead = SObjectInfo(name="Lead", fields={"lastname": FieldInfo(name="LastName", type="string")})
    assert same_record(lead, {"LastName": "Ray"}, {"LastName": "Ray", "Company": "Acme"})
    assert same_record(lead, {"lastname": "Ray"}, {"LastName": "Ray"})
    assert not same_record(lead, {"LastName": "Ray"}, {})
    assert not same_record(lead, {"Other": "Ray"}, {"Other": "Ray"})
    assert same_record(lead, {}, {})


@settings(max_examples=100, deadline=None)
@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2))
def test_a_number_is_the_same_after_json(number: Decimal) -> None:
    """A number comes back from Salesforce as a float and is still the same."""
    assert same_value(field("currency"), number, float(number))


def test_halves_round_away_from_zero() -> None:
    """A half is stored rounded up, so that the next run finds nothing to change."""
    assert same_value(field("double", 0), Decimal("2.5"), 3)


def test_many_digits_compare() -> None:
    """A large number in a field of many decimal places is compared, not a crash of the run."""
    assert same_value(field("double", 15), Decimal("1e14"), 1e14)
