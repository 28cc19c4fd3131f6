"""Keys: trimmed, and compared as Salesforce compares."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.salesforce.describe import FieldInfo

TEXT = FieldInfo(name="Key__c", type="string", length=36)
STRICT = FieldInfo(name="Key__c", type="string", length=36, case_sensitive=True)
NUMBER = FieldInfo(name="Key__c", type="double", precision=18)


@pytest.mark.parametrize("value", [None, "", " \t\r\n", float("nan"), Decimal("NaN")], ids=repr)
def test_no_key(value: object) -> None:
    """What is nothing is an empty key."""
    assert key_text(value) == ""


@pytest.mark.parametrize(
    ("value", "key"),
    [(" L-1\n", "L-1"), (15.0, "15"), (Decimal("15.0"), "15"), (0, "0"), ("\u00a0x", "\u00a0x"), ("a\r\nb", "a\nb")],
)
def test_key(value: object, key: str) -> None:
    """A key is trimmed as Salesforce trims, and a number is the same key in every type."""
    assert key_text(value) == key


@pytest.mark.parametrize(
    ("external", "one", "other", "same"),
    [
        (None, "Ab", "aB", True),
        (TEXT, "Ab", "aB", True),
        (TEXT, "stra\u00dfe", "strasse", False),
        (TEXT, "7", "007", False),
        (STRICT, "Ab", "aB", False),
        (NUMBER, "7", "007", True),
        (NUMBER, "7.0", "7", True),
        (NUMBER, "1e2", "100", True),
        (NUMBER, "7", "8", False),
        (NUMBER, "10000000000000000000000000000000000001", "10000000000000000000000000000000000002", False),
        (NUMBER, "N/A", "n/a", True),
    ],
)
def test_keys_compare_as_their_field_does(external: FieldInfo | None, one: str, other: str, *, same: bool) -> None:
    """Letter case counts only where describe says so, and a number field compares numbers."""
    compare = compared_by(external)
    assert (compare(one) == compare(other)) is same


@given(st.text() | st.text(" \t\r\n\x1c\x85\xa0\u2028\u3000\u200b\ufeffa0.-e\0"))
def test_a_key_is_its_own_key(text: str) -> None:
    """Trimming twice is trimming once."""
    assert key_text(key_text(text)) == key_text(text)


def test_long_numeric_keys_stay_apart() -> None:
    """NUMERIC(38,0) keys that differ are different keys."""
    assert key_text(Decimal(10000000000000000000000000000000000001)) != key_text(
        Decimal(10000000000000000000000000000000000002)
    )


def test_equal_numbers_are_one_key() -> None:
    """A number key does not depend on how many zeros its type adds; Salesforce answers 1.5 for 1.50."""
    assert key_text(Decimal("1.50")) == key_text(1.5)
