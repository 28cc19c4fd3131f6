"""Rows of a Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.parquet_text import with_text
from airflow_provider_sfleads.exports.record_batches import Chunk, batch_chunks
from airflow_provider_sfleads.exports.streams import ByteStream, storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 1_000
_NARROW_BATCH = 5_000
_BATCH_BYTES = 4 * 1024 * 1024
_READ_AHEAD = 1024 * 1024


@contextmanager
def _parquet(stream: ByteStream, name: str) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _arrow_errors(name):
        # Unbuffered, pyarrow reads whole column chunks; ahead of time, whole row groups. Impala and older Spark write
        # timestamps in 96 bits, of which pyarrow would make nanoseconds, and so of the year 9999 the year 1816.
        file = pq.ParquetFile(
            pa.PythonFile(stream, "r"),
            buffer_size=_READ_AHEAD,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
        )
    with file:
        yield file


@contextmanager
def _arrow_errors(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        with storage_errors(name):
            yield
    except pa.ArrowException as problem:
        raise ExportError(f"{name} is no Parquet file, or a damaged one: {problem}") from None


def read_columns(stream: ByteStream, name: str) -> tuple[str, ...]:
    """Return the columns from the file's footer."""
    with _parquet(stream, name) as file:
        columns = tuple(file.schema_arrow.names)
    twice = [column for column, count in Counter(columns).items() if count > 1]
    if twice:
        raise ExportError(f"{name} has more than one column named {', '.join(map(repr, twice))}.")
    return columns


def read_chunks(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    """Yield the file's rows in chunks."""
    yield from batch_chunks(_chunks(stream, name, columns), name)


def _chunks(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    first = 1
    for batch in _batches(stream, name, columns):
        yield with_text(batch, where=name, first=first)
        first += batch.num_rows


def _batches(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    with _parquet(stream, name) as file:
        size = _BATCH
        for group in range(file.num_row_groups):
            done, rows = 0, file.metadata.row_group(group).num_rows
            # What was narrow so far goes on by more rows at once, as far as this group's own size bears it.
            size = _rows_that_fit(file.metadata.row_group(group).total_byte_size, rows, most=size)
            while done < rows:
                for batch in _group_batches(file, group, size, done, name):
                    yield batch.select(list(columns))
                    done += batch.num_rows
                    if batch.nbytes > 2 * _BATCH_BYTES and size > 1:
                        # Text that repeats is wider than the file says: from here on fewer rows at once.
                        size = _rows_that_fit(batch.nbytes, batch.num_rows)
                        break
                    if size == _BATCH and batch.nbytes * _NARROW_BATCH < _BATCH_BYTES * batch.num_rows:
                        size = _NARROW_BATCH
                        break
                else:
                    break


def _group_batches(file: pq.ParquetFile, group: int, size: int, skipped: int, name: str) -> Iterator[pa.RecordBatch]:
    """Yield a row group's rows after the first ``skipped``, so many at once."""
    # Threads save no time on batches this small, and each would keep memory of its own.
    batches = file.iter_batches(batch_size=size, row_groups=[group], use_threads=False)
    while True:
        with _arrow_errors(name):
            batch = next(batches, None)
        if batch is None:
            return
        if skipped < batch.num_rows:
            yield batch.slice(skipped)
        skipped = max(skipped - batch.num_rows, 0)


def _rows_that_fit(size: int, rows: int, most: int = _BATCH) -> int:
    return max(min(most, _BATCH_BYTES * rows // max(size, 1)), 1)
