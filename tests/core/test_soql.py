from __future__ import annotations

import re
import uuid
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.salesforce.soql import in_queries, literal, quote
from airflow_provider_sfleads.salesforce.wire import in_url

_UNESCAPE = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def unquote(text: str) -> str:
    """Read a SOQL string literal as Salesforce documents it."""
    body = text[1:-1]
    assert not re.search(r"(?<!\\)(?:\\\\)*'", body), "the literal ends early"
    return re.sub(r"\\(.)", lambda found: _UNESCAPE.get(found[1], found[1]), body, flags=re.DOTALL)


@given(st.text() | st.text("\\'\"\n\r\t\b\f%_nrtbfu0 "))
def test_any_text_survives_quoting(text: str) -> None:
    """Quotes, backslashes at the end and line breaks come through, and nothing ends the literal early."""
    assert unquote(quote(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [("a'b\\", r"'a\'b\\'"), (1, "1"), (1.5, "1.5"), (True, "TRUE"), (Decimal("1E+3"), "1000"), ("a_b%", "'a_b%'")],
)
def test_literals(value: str | float | Decimal, text: str) -> None:
    """Text is quoted, numbers and booleans are bare."""
    assert literal(value) == text


def test_ten_thousand_keys_of_36_characters_take_at_most_40_queries() -> None:
    """The lists are filled to the limit of the URL."""
    keys = [str(uuid.UUID(int=number << 64 | 7)) for number in range(10_000)]
    queries = list(in_queries(["Id", "Ext__c", "Lead_Stage__c"], "Lead", "Ext__c", keys, where="IsConverted = FALSE"))
    assert len(queries) <= 40
    assert [key for _, chunk in queries for key in chunk] == keys


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), max_size=60),
    st.integers(700, 2_000),
)
def test_every_value_is_asked_for_once_within_the_budget(values: list[str], budget: int) -> None:
    """No value is lost, none is asked twice, and no query is longer than the budget or shorter than it could be."""
    queries = list(in_queries(["Id"], "Lead", "Ext__c", values, budget_bytes=budget))
    assert [value for _, chunk in queries for value in chunk] == values
    for soql, chunk in queries:
        assert len(in_url(soql)) <= budget
        assert soql.startswith("SELECT Id FROM Lead WHERE Ext__c IN (")
        assert soql.endswith(f" IN ({','.join(map(quote, chunk))})")
    for (soql, _), (_, following) in pairwise(queries):
        assert len(in_url(f"{soql},{quote(following[0])}")) > budget


def test_a_further_condition_keeps_its_own_parentheses() -> None:
    """An OR in it does not let other records in."""
    [(soql, chunk)] = in_queries(["Id"], "Lead", "N__c", [1, 2], where="A = 1 OR B = 2")
    assert soql == "SELECT Id FROM Lead WHERE N__c IN (1,2) AND (A = 1 OR B = 2)"
    assert chunk == (1, 2)


def test_no_values_no_query() -> None:
    """An empty IN list would be malformed."""
    assert list(in_queries(["Id"], "Lead", "Id", [])) == []


def test_a_value_longer_than_a_query_is_refused_without_being_shown() -> None:
    """It cannot be looked up by URL; the message says of which field."""
    with pytest.raises(ParameterError, match="Ext__c") as caught:
        list(in_queries(["Id"], "Lead", "Ext__c", ["jane" * 5_000]))
    assert "jane" not in str(caught.value)
