# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.pipeline.staged_rows import at_places, staged_schema, without_originals


@given(st.lists(st.integers(0, 5), max_size=6), st.data())
def test_rows_are_found_by_their_places(sizes: Sequence[int], data: st.DataObject) -> None:
    """In whatever order places are told, rows come in theirs; a batch that has none does not come."""
    numbers = iter(range(99))
    rows = [[next(numbers) for _ in range(size)] for size in sizes]
    wanted = data.draw(st.sets(st.integers(0, sum(sizes) - 1)) if sum(sizes) else st.just(set[int]()))
    places = data.draw(st.permutations(sorted(wanted)))
    found = list(at_places((pa.record_batch({"n": pa.array(each, pa.int64())}) for each in rows), places))
    assert [number for batch in found for number in batch.column("n").to_pylist()] == sorted(wanted)
    assert all(batch.num_rows for batch in found)


@pytest.mark.parametrize("placed", [False, True])
def test_the_original_rows_can_be_left_out(*, placed: bool) -> None:
    """Whatever types they have, the rest is of one schema."""
    kinds = (pa.int64(), pa.string())
    schemas = [staged_schema(["LastName"], pa.schema([("f:odd", kind)]), placed=placed) for kind in kinds]
    left = [without_originals(pa.RecordBatch.from_pylist([], schema=schema)).schema for schema in schemas]
    assert left[0] == left[1] == staged_schema(["LastName"], pa.schema([]), placed=placed)
