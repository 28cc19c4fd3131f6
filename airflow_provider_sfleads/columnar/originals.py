"""Original rows between the two forms that they go through a run in: columns, and Python's values."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from airflow_provider_sfleads.core.rows import Row
from airflow_provider_sfleads.core.values import is_unicode, text_of


def rows_of(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch whose columns hold only what Python's own types can."""
    rows: list[Row] = batch.to_pylist()
    return rows


def in_columns(
    rows: Sequence[Row], columns: Sequence[str], *, schema: pa.Schema | None = None
) -> pa.RecordBatch | list[Row]:
    """Put rows into columns, or give them back where a column is of no one type.

    :param schema: the types to put them into; a column whose values do not fit becomes text.
    """
    arrays: list[pa.Array] = []
    for name in columns:
        values = [row[name] for row in rows]
        kind = None if schema is None else schema.field(name).type
        try:
            array = pa.array(values, kind)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            if schema is None:
                return list(rows)
            array = pa.array([_text(value) for value in values], pa.string())
        if schema is None and not _is_one_type(values):
            return list(rows)
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=list(columns)) if arrays else list(rows)


def _is_one_type(values: Sequence[object]) -> bool:
    """Whether nothing is turned into another type on the way: Arrow would make 1.0 of 1 beside 0.5."""
    return len({type(value) for value in values} - {type(None)}) <= 1


def _text(value: object) -> str | None:
    if value is None:
        return None
    text = text_of(value)
    return text if is_unicode(text) else text.encode(errors="replace").decode()
