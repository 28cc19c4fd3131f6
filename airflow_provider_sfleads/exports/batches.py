"""Rows out of Arrow record batches (DuckDB results and Parquet files)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.core.text import span_text
from airflow_provider_sfleads.exports.values import plain_row, python_type

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = 86_400
# Days since 1970 between which any time zone's clock shows a year from 1 to 9999; most days of a ``timedelta``.
_FIRST_DAY, _LAST_DAY = -719_162 + 2, 2_932_896 - 2
_LONGEST = 999_999_998
_MOST_DAYS, _MOST_TICKS = 2**31 - 1, 2**63 - 1
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


def batch_rows(batch: pa.RecordBatch, *, where: str, first: int) -> Iterator[Row | BadRow]:
    """Yield the rows of ``batch``.

    A date or time that Python cannot hold (year 10000) is its text there, which no date field takes; a row with text
    that is not UTF-8 is a :class:`BadRow`.

    :param where: name of the source, for messages.
    :param first: number of the batch's first row, counted from 1.
    """
    columns = tuple(batch.schema.names)
    arrays = in_python_types(batch).columns
    try:
        lists = [_values(array) for array in arrays]
    except (ValueError, OverflowError):
        for index in range(batch.num_rows):
            yield _one_row(columns, arrays, index, f"{where}, row {first + index}")
        return
    for values in zip(*lists, strict=True):
        yield plain_row(columns, values)


def in_python_types(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with each column of the nearest type that Python's own types can hold."""
    import pyarrow as pa

    kinds = [python_type(kind) for kind in batch.schema.types]
    if kinds == batch.schema.types:
        return batch
    arrays = [
        column if kind.equals(column.type) else _cast(column, kind)
        for column, kind in zip(batch.columns, kinds, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column in the nearest type; in nanoseconds ``infinity`` is the greatest number as well."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cast = column.cast(kind, safe=False)
    if not pa.types.is_timestamp(column.type):
        return cast
    ticks = column.view(pa.int64())
    endless = pc.or_(pc.greater_equal(ticks, _MOST_TICKS), pc.less_equal(ticks, -_MOST_TICKS))
    return pc.if_else(endless, ticks.view(kind), cast) if pc.any(endless).as_py() else cast


def _values(column: pa.Array) -> list[object]:
    """Return Python's values of a column.

    :raises OverflowError: or ValueError: one is none of Python's; of 24:00 pyarrow itself would make 00:00.
    """
    import pyarrow as pa

    if pa.types.is_time(column.type) and not _is_readable(column):
        raise OverflowError
    values: list[object] = column.to_pylist()
    return values


def is_readable(batch: pa.RecordBatch) -> bool:
    """Say whether Python surely holds all values of ``batch``, which is in Python's types."""
    import pyarrow as pa

    try:
        batch.validate(full=True)  # text is UTF-8
    except pa.ArrowInvalid:
        return False
    return all(_is_readable(column) for column in batch.columns)


def _is_readable(column: pa.Array) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    types, kind = pa.types, column.type
    if isinstance(kind, pa.BaseExtensionType):
        return _is_readable(column.storage)
    if types.is_nested(kind):
        return not _holds_moments(kind)
    if not types.is_temporal(kind) or types.is_interval(kind):
        return True
    low, high = _limits(kind)
    ticks = column.view(pa.int32() if types.is_date32(kind) or types.is_time32(kind) else pa.int64())
    found = pc.min_max(ticks).as_py()
    return found["min"] is None or (low <= found["min"] and found["max"] <= high)


def _limits(kind: pa.DataType) -> tuple[int, int]:
    """Return the least and the greatest value of a type of moments or durations that Python surely holds."""
    import pyarrow as pa

    types = pa.types
    if types.is_date32(kind):
        return _FIRST_DAY, _LAST_DAY
    ticks = _UNITS["ms"] if types.is_date64(kind) else _UNITS[kind.unit]
    if types.is_time(kind):
        return 0, _DAY * ticks - 1
    if types.is_duration(kind):
        return -_LONGEST * _DAY * ticks, _LONGEST * _DAY * ticks
    return _FIRST_DAY * _DAY * ticks, _LAST_DAY * _DAY * ticks


def _holds_moments(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_nested(kind):
        return any(_holds_moments(kind.field(index).type) for index in range(kind.num_fields))
    return bool(pa.types.is_temporal(kind))


def _value(scalar: pa.Scalar) -> object:
    """Return Python's value of a scalar, or its text where that is a date or time beyond what Python holds."""
    import pyarrow as pa

    kind = scalar.type
    try:
        if pa.types.is_time(kind) and scalar.is_valid and not 0 <= scalar.value <= _limits(kind)[1]:
            return _text_beyond(scalar)
        return scalar.as_py()
    except UnicodeDecodeError:
        raise
    except (ValueError, OverflowError):
        if pa.types.is_map(kind):
            return [(_value(pair[0]), _value(pair[1])) for pair in scalar.values]
        if pa.types.is_struct(kind):
            return {name: _value(item) for name, item in scalar.items()}
        if pa.types.is_list(kind):
            return [_value(item) for item in scalar.values]
        if not pa.types.is_temporal(kind):
            raise
        return _text_beyond(scalar)


def _text_beyond(scalar: pa.Scalar) -> str:
    import numpy as np
    import pyarrow as pa

    types, kind, ticks = pa.types, scalar.type, scalar.value
    if types.is_time(kind):
        return span_text(timedelta(microseconds=ticks * _UNITS["us"] // _UNITS[kind.unit]))
    most = _MOST_DAYS if types.is_date32(kind) else _MOST_TICKS
    if abs(ticks) >= most:
        # What DuckDB writes for it.
        return "infinity" if ticks > 0 else "-infinity"
    if types.is_date(kind) or types.is_timestamp(kind):
        unit = "D" if types.is_date32(kind) else "ms" if types.is_date64(kind) else kind.unit
        moment = np.array(ticks).astype(f"datetime64[{unit}]")
        return f"{moment}{'Z' if types.is_timestamp(kind) and kind.tz else ''}"
    return f"{ticks} {kind.unit}"


def _one_row(columns: tuple[str, ...], arrays: list[pa.Array], index: int, where: str) -> Row | BadRow:
    values: list[object] = []
    unreadable = []
    for column, array in zip(columns, arrays, strict=True):
        try:
            values.append(_value(array[index]))
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
