# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport, parquet_reader
from airflow_provider_sfleads.exports.record_batches import MAX_BYTES, MAX_ROWS, Chunk, chunk_rows, row_lists


def chunks_of(path: Path) -> list[Chunk]:
    """Return the chunks of a file, whose rows are those that ``open`` yields."""
    with FileExport(path).open() as stream:
        columns, rows = stream.columns, list(stream.rows)
    with FileExport(path).open() as chunks:
        assert chunks.columns == columns
        found = list(chunks.chunks)
    assert [repr(row) for chunk in found for row in chunk_rows(chunk)] == [repr(row) for row in rows]
    return found


def test_parquet_comes_in_record_batches_of_bounded_size(tmp_path: Path) -> None:
    """By rows and by bytes; a wide row stands alone."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table({"id": range(50_000), "text": ["x" * 2_000] * 30_000 + ["y"] * 20_000}), path)
    batches = chunks_of(path)
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert max(len(batch) for batch in batches) <= MAX_ROWS
    assert max(batch.nbytes for batch in batches if isinstance(batch, pa.RecordBatch)) <= MAX_BYTES * 1.01


def test_wide_text_that_repeats_is_read_a_few_rows_at_once(tmp_path: Path) -> None:
    """The file says how wide its pages are, and a repeated text stands there once; every row comes all the same."""
    path = tmp_path / "leads.parquet"
    narrow, wide = pa.array(["y"] * 1_500).dictionary_encode(), pa.array(["x" * 30_000] * 3_500).dictionary_encode()
    texts = pa.chunked_array([narrow, wide]).unify_dictionaries()
    pq.write_table(pa.table({"id": range(5_000), "text": texts}), path, row_group_size=4_000, store_schema=False)
    with path.open("rb") as stream:
        batches = list(parquet_reader._batches(stream, "x", ("text", "id")))
    assert [number for batch in batches for number in batch["id"].to_pylist()] == list(range(5_000))
    assert batches[0].num_rows > 100
    assert sum(batch.nbytes > 10_000_000 for batch in batches) == 1  # the one by which it is seen


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 946_684_800_000_000_000, None], pa.timestamp("us")),
        pa.array([0, 253_402_300_799_000, None], pa.timestamp("ms", tz="Pacific/Kiritimati")),
        pa.array([0, 2_932_897, None], pa.date32()),
        pa.array([0, 2_932_897 * 86_400_000, None], pa.date64()),
        pa.array([0, 86_400, None], pa.time32("s")),
        pa.array([0, -1, None], pa.time64("us")),
        pa.array([0, 999_999_999 * 86_400 + 86_400, None], pa.duration("s")),
        pa.array([[0], [946_684_800_000_000_000], None], pa.list_(pa.timestamp("us"))),
        pa.array([b"a", b"\xfc", None]).cast(pa.string(), safe=False),
    ],
    ids=lambda column: str(column.type),
)
def test_values_that_python_cannot_hold_come_as_rows(tmp_path: Path, column: pa.Array) -> None:
    """As texts or bad rows, or as whatever ``open`` makes of them."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "at": column}), path)
    (chunk,) = chunks_of(path)
    assert isinstance(chunk, list)


def test_rows_before_an_error_come_before_it() -> None:
    """A list that is cut short by an error is not lost."""

    def rows(last: int) -> Iterator[Row]:
        yield from ({"id": number} for number in range(last))
        raise ExportError("cut off")

    chunks = row_lists(rows(3))
    assert next(chunks) == [{"id": 0}, {"id": 1}, {"id": 2}]
    with pytest.raises(ExportError, match="cut off"):
        next(chunks)


def test_a_row_that_is_bad_stays_one(tmp_path: Path) -> None:
    """With its message."""
    path = tmp_path / "leads.csv"
    path.write_text("id,n\na,1\nb\n")
    rows = [row for chunk in chunks_of(path) for row in chunk_rows(chunk)]
    assert isinstance(rows[1], BadRow)
