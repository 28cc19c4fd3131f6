# ruff: noqa: TID253 - a test is no Dag file
"""Columns as cells: a shortcut for what is plain says just what the rule of a value says."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.pipeline.field_values import cell_of, cells_of, plain_cells
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from tests.pipeline.intakes import FIGURES, IDS, MOMENTS, TRUTHS, WORDS

VALUES = {
    "string": WORDS, "textarea": WORDS, "email": WORDS, "picklist": WORDS, "multipicklist": WORDS,
    "int": FIGURES, "double": FIGURES, "date": MOMENTS, "datetime": MOMENTS, "boolean": TRUTHS, "reference": IDS,
}  # fmt: skip


@given(st.data(), st.sampled_from(sorted(VALUES)), st.booleans())
@settings(deadline=None, max_examples=400)
def test_a_column_of_texts_is_what_each_of_them_is(data: st.DataObject, kind: str, truncate: bool) -> None:  # noqa: FBT001
    """Sent as the same cell, or refused."""
    texts = data.draw(st.lists(st.none() | VALUES[kind] | st.text("aé ", max_size=5), max_size=8))
    info = FieldInfo(name="F__c", type=kind, length=data.draw(st.sampled_from([0, 3, 40])), precision=12, scale=2)
    found = [convert(info, text, truncate=truncate) for text in texts]
    cells = cells_of(info, pa.array(texts, pa.string()), truncate=truncate)
    refused = [isinstance(value, Refusal) for value in found]
    assert cells.unsure.tolist() == refused
    wanted = [None if value is None or isinstance(value, Refusal) else cell_of(value) for value in found]
    assert [None if odd else cell for cell, odd in zip(cells.array.to_pylist(), refused, strict=True)] == wanted


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.decimal128(30, 2), pa.string()], ids=str)
def test_a_number_that_just_fits_and_one_that_does_not(kind: pa.DataType) -> None:
    """In a column of any type."""
    values = pa.array([999, -999, 1000, -1000]).cast(kind)
    for info in (FieldInfo(name="F__c", type="int", digits=3), FieldInfo(name="F__c", type="double", precision=3)):
        assert cells_of(info, values).unsure.tolist() == [False, False, True, True]


@pytest.mark.parametrize("tail", [".000 -0800", ".000 Z", " UTC", ".123456 UTC", "+00", ".1234567 +02:00", "+0530", ""])
def test_what_warehouses_write_takes_no_closer_look(tail: str) -> None:
    """A night's rows go by the column, and not through Python one by one."""
    array = pa.array([f"2026-03-05 10:00:0{n}{tail}" for n in range(10)])
    for kind in ("date", "datetime"):
        assert not plain_cells(FieldInfo(name="At__c", type=kind), array).unsure.any()


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("string", ["Ray", " Ray ", "Müller", "x" * 40, "é" * 40, "Ray\r\nMond"]),
        ("email", ["ray@example.com", "r.m+x@mail.example.co.uk"]),
        ("double", ["7", "-7.50", "0.0", "1234567890.5"]),
        ("double", [7.5, -0.25, 7.0, 0.0]),
        ("int", ["7", "-70", "7.0"]),
        ("int", [7, -70, 0]),
        ("reference", ["00Q5g00000AbCdE", "00Q5g00000AbCdEEAV"]),
    ],
)
def test_what_is_plain_for_its_type_takes_none_either(kind: str, values: list[object]) -> None:
    """Whatever comes in a million spellings."""
    info = FieldInfo(name="F__c", type=kind, length=40, precision=18, scale=2)
    assert not plain_cells(info, pa.array(values)).unsure.any()
