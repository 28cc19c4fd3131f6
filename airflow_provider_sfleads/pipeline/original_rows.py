"""Original rows between the two forms that they go through a run in: columns, and Python's values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from airflow_provider_sfleads.core.rows import Row
from airflow_provider_sfleads.core.text import cell_text, is_unicode

# Types whose values come back out of a column just as they went in. Arrow would make 1.0 of 1 beside 0.5, and brings
# date-times of several zones into one, where it may be another day.
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), date: pa.date32()}


def choosable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with its columns of types that Arrow can choose rows of."""
    types = pa.types
    if not any(types.is_string_view(kind) or types.is_binary_view(kind) for kind in batch.schema.types):
        return batch
    return pa.RecordBatch.from_arrays([_choosable(column) for column in batch.columns], names=batch.schema.names)


def rows_of(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch whose columns hold only what Python's own types can."""
    rows: list[Row] = batch.to_pylist()
    return rows


def in_columns(rows: Sequence[Row], columns: Sequence[str]) -> pa.RecordBatch | None:
    """Put rows into columns; ``None`` where a column is of no one type that keeps its values as they are."""
    arrays: list[pa.Array] = []
    for name in columns:
        values = [row[name] for row in rows]
        kinds = {type(value) for value in values} - {type(None)}
        if len(kinds) > 1 or not kinds <= _TYPES.keys():
            return None
        try:
            arrays.append(pa.array(values, _TYPES[kinds.pop()] if kinds else pa.null()))
        except (pa.ArrowException, ValueError, OverflowError):
            # Half a character, or more digits than 64 bits hold.
            return None
    return pa.RecordBatch.from_arrays(arrays, names=list(columns)) if arrays else None


def as_strings(rows: Sequence[Row], columns: Sequence[str]) -> pa.RecordBatch:
    """Rows as columns of text, whatever their values are."""
    arrays = [pa.array([as_text(row[name]) for row in rows], pa.string()) for name in columns]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def as_text(value: object) -> str | None:
    """A value as rejects show it; half a character becomes a question mark."""
    if value is None:
        return None
    text = cell_text(value)
    return text if is_unicode(text) else text.encode(errors="replace").decode()


def _choosable(column: pa.Array) -> pa.Array:
    if pa.types.is_string_view(column.type):
        return column.cast(pa.string())
    return column.cast(pa.binary()) if pa.types.is_binary_view(column.type) else column
