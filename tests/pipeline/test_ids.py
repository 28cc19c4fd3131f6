# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.pipeline.column_text import id_bytes, strings
from airflow_provider_sfleads.salesforce.ids import checksum, to_18

HEADS = st.text("abcXYZ059", min_size=15, max_size=15)
IDS = st.one_of(
    HEADS,
    HEADS.map(lambda head: head + checksum(head)),
    HEADS.map(lambda head: (head + checksum(head)).lower()),
    HEADS.map(lambda head: (head + checksum(head)).swapcase()),
    st.text("aZ_ ", min_size=15, max_size=15).map(lambda head: head + checksum(head)),
    st.text("aZ0é_ ", min_size=13, max_size=19),
    st.sampled_from(["", None]),
)


@given(values=st.lists(IDS, max_size=20), skipped=st.integers(0, 3))
def test_ids_are_completed_as_the_row_code_completes_them(values: list[str | None], skipped: int) -> None:
    """Also in a slice of a column, whose bytes begin further on."""
    column = pa.array(values, pa.string())[skipped:]
    wanted = [to_18(value or "") for value in values[skipped:]]
    assert [bytes(one).decode() or None for one in id_bytes(column)] == wanted
    assert strings(id_bytes(column)).equals(pa.array(wanted, pa.string()))


@pytest.mark.parametrize("length", [15, 18])
def test_a_column_of_one_length_is_not_looked_at_row_by_row(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the rule."""
    monkeypatch.setattr("airflow_provider_sfleads.pipeline.column_text.to_18", lambda _value: pytest.fail("row by row"))
    full = [head + checksum(head) for head in ("00Q5g00000AbCdE", "00Q5g00000aBcDe")]
    assert strings(id_bytes(pa.array([one[:length] for one in full]))).to_pylist() == full
