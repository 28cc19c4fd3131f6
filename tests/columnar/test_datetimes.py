# ruff: noqa: TID253 - a test is no Dag file
"""Texts as dates and date-times: by the column and one by one they come to the same."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.columnar.field_values import cells_of, plain_cells
from airflow_provider_sfleads.core.describe import FieldInfo
from airflow_provider_sfleads.core.values import Refusal, convert
from tests.columnar.takings import MOMENTS


@given(st.sampled_from(["date", "datetime"]), st.lists(st.none() | MOMENTS, max_size=8))
@settings(deadline=None, max_examples=300)
def test_a_column_of_texts_is_what_each_of_them_is(kind: str, texts: list[str | None]) -> None:
    """Taken as the same moment, or refused."""
    info = FieldInfo(name="At__c", type=kind)
    found = [convert(info, text) for text in texts]
    cells = cells_of(info, pa.array(texts, pa.string()))
    assert cells.unsure.tolist() == [isinstance(value, Refusal) for value in found]
    assert cells.array.to_pylist() == [None if isinstance(value, Refusal) else value for value in found]


@pytest.mark.parametrize("tail", [".000 -0800", ".000 Z", " UTC", ".123456 UTC", "+00", ".1234567 +02:00", "+0530"])
def test_what_warehouses_write_takes_no_closer_look(tail: str) -> None:
    """A night's rows go by the column, and not through Python one by one."""
    array = pa.array([f"2026-03-05 10:00:0{n}{tail}" for n in range(10)])
    for kind in ("date", "datetime"):
        assert not plain_cells(FieldInfo(name="At__c", type=kind), array).unsure.any()
