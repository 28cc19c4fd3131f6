"""Driver values as plain Python values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    import pyarrow as pa

#: Types whose values stay as they are.
PLAIN = frozenset({str, int, float, bool, type(None), Decimal, datetime, date, time, timedelta, bytes})


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


def plain_row(columns: tuple[str, ...], values: Iterable[object]) -> dict[str, object]:
    """Return one row of a cursor as a dict of plain values."""
    return {
        column: value if type(value) in PLAIN else plain(value) for column, value in zip(columns, values, strict=True)
    }


def python_type(kind: pa.DataType) -> pa.DataType:
    """Return the Arrow type nearest to ``kind`` whose values Python's own types can hold.

    Nanoseconds become microseconds (pyarrow would ask for pandas), and dictionaries become their values.
    """
    import pyarrow as pa

    types = pa.types
    if types.is_nested(kind):
        return _nested(kind)
    if types.is_dictionary(kind):
        return python_type(kind.value_type)
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", tz=kind.tz)
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    return pa.time64("us") if types.is_time64(kind) else kind


def _nested(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    types = pa.types
    if types.is_struct(kind):
        return pa.struct([field.with_type(python_type(field.type)) for field in kind])
    if types.is_map(kind):
        return pa.map_(python_type(kind.key_type), python_type(kind.item_type))
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(python_type(kind.value_type))
    return kind
