"""Arrow's and drivers' values as Python's own, and what stands for those that Python has none for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.core.text import span_text

#: Types whose values stay as they are.
PLAIN = frozenset({str, int, float, bool, type(None), Decimal, datetime, date, time, timedelta, bytes})
_UNREADABLE = object()
_DAY = 86_400
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# The greatest numbers, which stand for infinity.
_MOST_DAYS, _MOST_TICKS = 2**31 - 1, 2**63 - 1


def plain(value: object) -> object:
    """Return ``value`` with UUIDs as text and buffers as bytes, also inside lists and mappings."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (memoryview, bytearray)):
        return bytes(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [plain(item) for item in value]  # type: ignore[attr-defined]
    return value


def plain_row(columns: Iterable[str], values: Iterable[object]) -> dict[str, object]:
    """Return a row as a dict of plain values."""
    return {
        column: value if type(value) in PLAIN else plain(value) for column, value in zip(columns, values, strict=True)
    }


def batch_rows(batch: pa.RecordBatch, *, where: str, first: int) -> Iterator[Row | BadRow]:
    """Yield the rows of ``batch``.

    A date or time that Python cannot hold (year 10000) is its text there, which no date field takes; a row with text
    that is not UTF-8 is a :class:`BadRow`.

    :param where: name of the source, for messages.
    :param first: number of the batch's first row, counted from 1.
    """
    names, arrays = batch.schema.names, in_python_types(batch).columns
    are_readable = list(map(_is_readable, arrays))
    columns = [
        column.to_pylist() if is_readable else list(map(_value, column))
        for column, is_readable in zip(arrays, are_readable, strict=True)
    ]
    rows = zip(*columns, strict=True)
    yield from map(partial(plain_row, names), rows) if all(are_readable) else _rows_or_bad(names, rows, where, first)


def _rows_or_bad(
    names: Sequence[str], rows: Iterable[Sequence[object]], where: str, first: int
) -> Iterator[Row | BadRow]:
    for number, values in enumerate(rows, start=first):
        unreadable = [repr(name) for name, value in zip(names, values, strict=True) if value is _UNREADABLE]
        row = plain_row(names, (None if value is _UNREADABLE else value for value in values))
        message = f"{where}, row {number}: the value of {', '.join(unreadable)} is outside what can be read."
        yield BadRow(values=row, code="MALFORMED_ROW", message=message) if unreadable else row


def in_python_types(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return ``batch`` with each column of the nearest type that Python's own types can hold."""
    kinds = list(map(_python_type, batch.schema.types))
    if kinds == batch.schema.types:
        return batch
    return pa.RecordBatch.from_arrays(list(map(_cast, batch.columns, kinds)), names=batch.schema.names)


def _python_type(kind: pa.DataType) -> pa.DataType:
    """Return the Arrow type nearest to ``kind`` whose values Python's own types can hold.

    Nanoseconds become microseconds (pyarrow would ask for pandas), and dictionaries become their values.
    """
    types = pa.types
    if types.is_struct(kind):
        return pa.struct([field.with_type(_python_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(_python_type(kind.key_type), _python_type(kind.item_type))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(_python_type(kind.value_type))
    if types.is_dictionary(kind):
        return _python_type(kind.value_type)
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", tz=kind.tz)
    return {pa.duration("ns"): pa.duration("us"), pa.time64("ns"): pa.time64("us")}.get(kind, kind)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column in the nearest type; in nanoseconds ``infinity`` is the greatest number as well."""
    if kind.equals(column.type):
        return column
    cast = column.cast(kind, safe=False)
    if not pa.types.is_timestamp(column.type):
        return cast
    ticks = column.view(pa.int64())
    endless = pc.or_(pc.greater_equal(ticks, _MOST_TICKS), pc.less_equal(ticks, -_MOST_TICKS))
    return pc.if_else(endless, ticks.view(kind), cast) if pc.any(endless).as_py() else cast


def is_readable(batch: pa.RecordBatch) -> bool:
    """Say whether Python surely holds all values of ``batch``, which is in Python's types."""
    return all(map(_is_readable, batch.columns))


def _is_readable(column: pa.Array) -> bool:
    try:
        column.validate(full=True)  # text is UTF-8, and no time of day is 24:00, of which pyarrow would make 00:00
    except pa.ArrowInvalid:
        return False
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if not _holds_temporal(column.type):
        return True
    if column.type.num_fields:
        return False
    ticks = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())  # noqa: PLR2004 - the other are 64
    extremes = pa.array(pc.min_max(ticks).as_py().values(), ticks.type)
    try:
        return bool(extremes.view(column.type).to_pylist())
    except (ValueError, OverflowError):
        return False


def _holds_temporal(kind: pa.DataType) -> bool:
    if pa.types.is_interval(kind):
        return False
    inner = (kind.field(index).type for index in range(kind.num_fields))
    return bool(pa.types.is_temporal(kind)) or any(map(_holds_temporal, inner))


def _value(scalar: pa.Scalar) -> object:
    """Return Python's value of a scalar, its text where that is a date or time beyond what Python holds, or a mark."""
    types, kind = pa.types, scalar.type
    try:
        if not (types.is_time(kind) and scalar.is_valid and not 0 <= scalar.value < _DAY * _UNITS[kind.unit]):
            return scalar.as_py()
    except (ValueError, OverflowError):
        if types.is_map(kind):
            return [(_value(pair[0]), _value(pair[1])) for pair in scalar.values]
        if types.is_struct(kind):
            return {name: _value(item) for name, item in scalar.items()}
        if types.is_list(kind):
            return [_value(item) for item in scalar.values]
        if not types.is_temporal(kind):
            return _UNREADABLE
    return _text_beyond(scalar)


def _text_beyond(scalar: pa.Scalar) -> str:
    types, kind, ticks = pa.types, scalar.type, scalar.value
    if types.is_time(kind):
        return span_text(timedelta(microseconds=ticks * _UNITS["us"] // _UNITS[kind.unit]))
    if abs(ticks) >= (_MOST_DAYS if types.is_date32(kind) else _MOST_TICKS):
        # What DuckDB writes for it.
        return "infinity" if ticks > 0 else "-infinity"
    if types.is_duration(kind):
        return f"{ticks} {kind.unit}"
    unit = "D" if types.is_date32(kind) else "ms" if types.is_date64(kind) else kind.unit
    moment = np.array(ticks).astype(f"datetime64[{unit}]")
    return f"{moment}{'Z' if types.is_timestamp(kind) and kind.tz else ''}"
