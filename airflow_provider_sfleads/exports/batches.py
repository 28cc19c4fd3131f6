"""Rows out of Arrow record batches (DuckDB results and Parquet files)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exports.values import plain_row, python_type

if TYPE_CHECKING:
    import pyarrow as pa


def batch_rows(batch: pa.RecordBatch, *, where: str, first: int) -> Iterator[Row | BadRow]:
    """Yield the rows of ``batch``; a row with a value that Python cannot hold (year 10000) is a :class:`BadRow`.

    :param where: name of the source, for messages.
    :param first: number of the batch's first row, counted from 1.
    """
    columns = tuple(batch.schema.names)
    arrays = [_as_python_type(column) for column in batch.columns]
    try:
        lists = [array.to_pylist() for array in arrays]
    except (ValueError, OverflowError):
        for index in range(batch.num_rows):
            yield _one_row(columns, arrays, index, f"{where}, row {first + index}")
        return
    for values in zip(*lists, strict=True):
        yield plain_row(columns, values)


def _as_python_type(column: pa.Array) -> pa.Array:
    kind = python_type(column.type)
    return column if kind.equals(column.type) else column.cast(kind, safe=False)


def _one_row(columns: tuple[str, ...], arrays: list[pa.Array], index: int, where: str) -> Row | BadRow:
    values: list[object] = []
    unreadable = []
    for column, array in zip(columns, arrays, strict=True):
        try:
            values.append(array[index].as_py())
        except (ValueError, OverflowError):
            values.append(None)
            unreadable.append(column)
    row = plain_row(columns, values)
    if not unreadable:
        return row
    names = ", ".join(map(repr, unreadable))
    return BadRow(
        values=row, code="MALFORMED_ROW", message=f"{where}: the value of {names} is outside what can be read."
    )
