# ruff: noqa: TID253 - a test is no Dag file
"""Columns in the form that is equal where Salesforce's values are."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.same import same_value
from airflow_provider_sfleads.pipeline.column_equality import key_form, same_form
from airflow_provider_sfleads.salesforce.describe import FieldInfo

WORDS = st.one_of(
    st.text(alphabet="aA bß;İΣé\t\n\r\u2028", max_size=4),
    st.sampled_from(["a;b", "b;a", "a;a;b", "A;b", "b;É", "é;B", "Ray", " Ray", "RAY", "a\r\nb", "a\nb", "x" * 300]),
)
NUMBERS = st.one_of(
    st.decimals(-100, 100, places=3).map(lambda number: format(number, "f")),
    st.sampled_from(
        ["0", "-0", "0.0", "5", "5.0", "05", "5e0", "0.5", "0.05", "0.004", "1E-7", "0.0000001", "1e20", "-0.5", "5_0",
         "100000000000000000000", "9999999999999999999.99", "1" * 30, "nan", "five", "0.00500000000000000000001"]
    ),
)  # fmt: skip
MOMENTS = st.sampled_from(
    ["2026-11-24T00:10:00.000Z", "2026-11-24T00:10:00.000+0000", "2026-11-24T00:10:00.999+00:00", "2026-11-24",
     "2026-11-24T01:10:00.000+0100", "2026-11-24T00:10:01.000Z", "2026-11-24T00:10:00",
     "2026-11-24 00:10:00Z", "2026-02-30T00:10:00Z", "soon"]
)  # fmt: skip
VALUES = {
    "string": WORDS, "textarea": WORDS, "email": WORDS, "multipicklist": WORDS, "picklist": WORDS,
    "double": NUMBERS, "int": NUMBERS, "datetime": MOMENTS, "date": MOMENTS,
}  # fmt: skip


@st.composite
def columns(draw: st.DrawFn) -> tuple[FieldInfo, list[str | None]]:
    """A field, and values of it."""
    kind = draw(st.sampled_from(sorted(VALUES)))
    scale = draw(st.sampled_from([0, 2, 18, 19])) if kind == "double" else 0
    values = draw(st.lists(st.one_of(st.none(), st.sampled_from(["", " "]), VALUES[kind]), max_size=8))
    return FieldInfo(name="F", type=kind, scale=scale, case_sensitive=draw(st.booleans())), values


@given(columns())
def test_forms_are_equal_where_values_are_the_same(column: tuple[FieldInfo, list[str | None]]) -> None:
    """As the row code compares."""
    info, values = column
    forms = same_form(info, pa.array(values, pa.string())).to_pylist()
    for one, its_form in zip(values, forms, strict=True):
        for other, other_form in zip(values, forms, strict=True):
            assert (its_form == other_form) is same_value(info, one, other), (one, other)


@pytest.mark.parametrize(
    ("kind", "sent", "said"),
    [("boolean", "true", True), ("boolean", "false", False), ("boolean", "false", None), ("boolean", None, False)],
)
def test_a_checkbox_has_no_blank(kind: str, sent: str | None, said: object) -> None:
    """What is not checked is unchecked."""
    current = None if said is None else str(said).lower()
    info = FieldInfo(name="F", type=kind)
    forms = same_form(info, pa.array([sent, current], pa.string())).to_pylist()
    assert forms[0] == forms[1]
    assert same_value(info, None if sent is None else sent == "true", said)


def test_what_json_says_of_a_number_is_what_csv_says() -> None:
    """A float in JSON, digits in CSV and a cell of plain digits are one number."""
    info = FieldInfo(name="F", type="double", scale=2)
    forms = same_form(info, pa.array(["12345678.5", "12345678.50", str(12345678.5), "1.23456785E7"])).to_pylist()
    assert len(set(forms)) == 1
    assert same_value(info, Decimal("12345678.50"), 12345678.5)


@given(
    st.sampled_from(
        [None, FieldInfo(name="K", type="string"), FieldInfo(name="K", type="string", case_sensitive=True),
         FieldInfo(name="K", type="double"), FieldInfo(name="K", type="email")]
    ),
    st.lists(st.one_of(st.none(), WORDS, NUMBERS), max_size=8),
)  # fmt: skip
def test_keys_compare_as_the_row_code_compares_them(external: FieldInfo | None, keys: list[str | None]) -> None:
    """The very same form, since a digest of one is held against that of the other."""
    compare = compared_by(external)
    assert key_form(external, pa.array(keys, pa.string())).to_pylist() == [compare(key_text(key)) for key in keys]
