"""Rows of a Parquet file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.batches import batch_rows
from airflow_provider_sfleads.exports.chunks import Chunk, batch_chunks
from airflow_provider_sfleads.exports.streams import ByteStream, storage_errors

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_BATCH = 1_000
_BATCH_BYTES = 4 * 1024 * 1024
_READ_AHEAD = 1024 * 1024


@contextmanager
def _parquet(stream: ByteStream, name: str) -> Iterator[pq.ParquetFile]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _arrow_errors(name):
        # Unbuffered, pyarrow reads whole column chunks; ahead of time, whole row groups.
        file = pq.ParquetFile(pa.PythonFile(stream, "r"), buffer_size=_READ_AHEAD, pre_buffer=False)
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


def read_rows(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Row | BadRow]:
    """Yield the file's rows, a small batch at a time."""
    first = 1
    for batch in _batches(stream, name, columns):
        yield from batch_rows(batch, where=name, first=first)
        first += batch.num_rows


def read_chunks(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    """Yield the file's rows in chunks."""
    yield from batch_chunks(_batches(stream, name, columns), name)


def _batches(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    with _parquet(stream, name) as file:
        # Threads save no time on batches this small, and each would keep memory of its own.
        batches = file.iter_batches(batch_size=_batch_size(file.metadata), use_threads=False)
        while True:
            with _arrow_errors(name):
                batch = next(batches, None)
            if batch is None:
                return
            yield batch.select(list(columns))


def _batch_size(metadata: pq.FileMetaData) -> int:
    """Return how many rows to read at once: few of wide ones, but text that repeats is wider than the file says."""
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    return max(min(_BATCH, _BATCH_BYTES // max(widest, 1)), 1)
