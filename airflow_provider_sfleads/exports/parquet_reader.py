"""A Parquet file in record batches, of bounded size, with its text as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.python_values import batch_rows
from airflow_provider_sfleads.exports.record_batches import Chunk, batch_chunks
from airflow_provider_sfleads.exports.storage import ByteStream, storage_errors

_BATCH = 1_000
_NARROW_BATCH = 5_000
_BATCH_BYTES = 4 * 1024 * 1024
_READ_AHEAD = 1024 * 1024


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
    return batch_chunks(_chunks(stream, name, columns), name)


def _chunks(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[Chunk]:
    first = 1
    for batch in _batches(stream, name, columns):
        yield _with_text(batch, where=name, first=first)
        first += batch.num_rows


@contextmanager
def _parquet(stream: ByteStream, name: str) -> Iterator[pq.ParquetFile]:
    """Open a file; what is found wrong with it, then or while it is read, is an :class:`ExportError`."""
    try:
        # Unbuffered, pyarrow reads whole column chunks; ahead of time, whole row groups. Impala and older Spark write
        # timestamps in 96 bits, of which pyarrow would make nanoseconds, and so of the year 9999 the year 1816.
        with (
            storage_errors(name),
            pq.ParquetFile(
                pa.PythonFile(stream, "r"),
                buffer_size=_READ_AHEAD,
                pre_buffer=False,
                coerce_int96_timestamp_unit="us",
            ) as file,
        ):
            yield file
    except pa.ArrowException as problem:
        raise ExportError(f"{name} is no Parquet file, or a damaged one: {problem}") from None


def _batches(stream: ByteStream, name: str, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    with _parquet(stream, name) as file:
        size = _BATCH
        for number in range(file.num_row_groups):
            group, done = file.metadata.row_group(number), 0
            # What was narrow so far goes on by more rows at once, as far as this group's own size bears it.
            size = _rows_that_fit(group.total_byte_size, group.num_rows, most=size)
            while done < group.num_rows:
                for batch in _group_batches(file, number, size, skipped=done):
                    yield batch.select(list(columns))
                    done += batch.num_rows
                    if batch.nbytes > 2 * _BATCH_BYTES and size > 1:
                        # Text that repeats is wider than the file says: from here on fewer rows at once.
                        size = _rows_that_fit(batch.nbytes, batch.num_rows)
                        break
                    if size == _BATCH and batch.nbytes * _NARROW_BATCH < _BATCH_BYTES * batch.num_rows:
                        size = _NARROW_BATCH
                        break
                else:  # also where a damaged file has fewer rows than it says
                    break


def _group_batches(file: pq.ParquetFile, number: int, size: int, *, skipped: int) -> Iterator[pa.RecordBatch]:
    # Threads save no time on batches this small, and each would keep memory of its own.
    for batch in file.iter_batches(batch_size=size, row_groups=[number], use_threads=False):
        if skipped < batch.num_rows:
            yield batch.slice(skipped)
        skipped = max(skipped - batch.num_rows, 0)


def _rows_that_fit(size: int, rows: int, most: int = _BATCH) -> int:
    return max(min(most, _BATCH_BYTES * rows // max(size, 1)), 1)


def _with_text(batch: pa.RecordBatch, *, where: str, first: int) -> Chunk:
    """Return ``batch`` with bytes that are UTF-8, and hold no NUL, as text; other bytes stay bytes, value by value.

    Impala, Hive and older Spark write strings as byte arrays without the mark ``UTF8``
    (https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#string), and enumerations are marked as such.
    A batch in which a column would hold both becomes a list of rows.

    :param first: number of the batch's first row, counted from 1.
    """
    kinds = {field.name: kind for field in batch.schema if (kind := _text_type(field.type)) is not None}
    if not kinds:
        return batch
    arrays = {name: _as_text(batch.column(name), kind) for name, kind in kinds.items()}
    if any(array is None for array in arrays.values()):
        rows: Chunk = []
        for row in batch_rows(batch, where=where, first=first):
            values = row.values if isinstance(row, BadRow) else row
            read = {name: _read(value) if name in kinds else value for name, value in values.items()}
            rows.append(replace(row, values=read) if isinstance(row, BadRow) else read)
        return rows
    return pa.RecordBatch.from_pydict({name: arrays.get(name, batch.column(name)) for name in batch.schema.names})


def _text_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type of text in place of one of bytes, or of lists of them; ``None`` for any other."""
    types = pa.types
    if types.is_dictionary(kind):
        return _text_type(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = _text_type(kind.value_type)
        return None if inner is None else pa.list_(inner)
    is_bytes = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return pa.string() if any(check(kind) for check in is_bytes) else None


def _as_text(column: pa.Array, kind: pa.DataType) -> pa.Array | None:
    """Return a column with its bytes as text, or as it is where they are none; ``None`` where it holds both."""
    try:
        text = inner = column.cast(kind)
    except pa.ArrowInvalid:  # not all of it is UTF-8
        pass
    else:
        while pa.types.is_list(inner.type):
            inner = inner.flatten()
        if not pc.any(pc.match_substring(inner, "\0")).as_py():
            return text
    values = column.to_pylist()
    return column if list(map(_read, values)) == values else None


def _read(value: object) -> object:
    if isinstance(value, list):
        return list(map(_read, value))
    if not isinstance(value, bytes) or b"\0" in value:
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
