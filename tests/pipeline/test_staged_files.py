# ruff: noqa: TID253 - a test is no Dag file
"""Staged rows come back from their file as they were, packed or not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, StagedWriter, read_staged

NAMES = ("f:LastName", "f:Company", "o:last", "o:company", "o:score")
# Values of other types; of the last one Parquet knows nothing.
OTHERS = (
    pa.scalar(1.5),
    pa.scalar(Decimal("1.50"), pa.decimal128(10, 2)),
    pa.scalar(datetime(2026, 1, 10, tzinfo=UTC), pa.timestamp("us", "UTC")),
    pa.scalar(date(2026, 1, 10)),
    pa.scalar(value=True),
    pa.scalar(["a", "b"]),
    pa.scalar((1, 2, 3), pa.month_day_nano_interval()),
)
TEXTS = st.sampled_from([None, "", CLEAR, "Ada", "Zoë", "x" * 40])


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Some columns of which are alike, and some of other types than in the batch before."""
    rows = draw(st.integers(1, 4))
    few = draw(st.lists(st.lists(TEXTS, min_size=rows, max_size=rows), min_size=1, max_size=2))
    columns = [pa.array(draw(st.sampled_from(few)), pa.string()) for _ in NAMES]
    other = draw(st.sampled_from([None, *OTHERS]))
    if other is not None:
        columns[-1] = pa.array([None, *[other.as_py()] * (rows - 1)], other.type)
    keys = pa.array([f"K-{n}" for n in range(rows)])
    schema = pa.schema(
        [
            pa.field("key", pa.string(), nullable=False),
            *(pa.field(name, column.type) for name, column in zip(NAMES, columns, strict=True)),
        ]
    )
    return pa.RecordBatch.from_arrays([keys, *columns], schema=schema)


@pytest.mark.parametrize("is_packed", [True, False])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(written=st.lists(batches(), max_size=5))
def test_rows_come_back_as_they_were(tmp_path: Path, written: list[pa.RecordBatch], is_packed: bool) -> None:  # noqa: FBT001
    """With their types, and the columns in their order."""
    writer = StagedWriter(tmp_path / "rows.arrow", is_packed=is_packed)
    for batch in written:
        writer.write(batch)
    writer.close()
    with pa.OSFile(str(tmp_path / "rows.arrow")) as stream:
        found = [*read_staged(stream)]
    assert [batch.schema for batch in found] == [batch.schema for batch in written]
    assert [str(batch.to_pylist()) for batch in found] == [str(batch.to_pylist()) for batch in written]
    assert writer.rows == sum(len(batch) for batch in written)
