"""Rows turned into columns, where every column has values of one plain type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exports.batches import is_readable
from airflow_provider_sfleads.exports.chunks import MAX_ROWS, Chunk, gathered, row_chunks, sized
from airflow_provider_sfleads.exports.values import PLAIN, plain, plain_row

if TYPE_CHECKING:
    import pyarrow as pa

#: Names of the Arrow types that hold all values of a Python type, or refuse them.
_TYPES = {str: "string", int: "int64", float: "float64", bool: "bool", bytes: "binary", date: "date32"}
_DECIMAL_DIGITS = 38
# Most bad rows of a list that is turned into columns around them.
_FEW = 20


class Columns:
    """Makes record batches of rows; a column without values has the type that it had before.

    :param names: the columns, in the order of their values in a row.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._types: dict[str, pa.DataType] = {}

    def of_values(self, groups: Iterable[Sequence[Sequence[object]]]) -> Iterator[Chunk]:
        """Yield in chunks what a cursor gives for rows, group by group."""
        return gathered(chunk for group in groups for chunk in self._of_group(group))

    def of_rows(self, rows: Iterable[Row | BadRow]) -> Iterator[Chunk]:
        """Yield rows in chunks; an error among them comes after the rows before it."""
        return gathered(chunk for group in row_chunks(rows) for chunk in self._of_list(group))

    def _of_group(self, group: Sequence[Sequence[object]]) -> Iterator[Chunk]:
        for start in range(0, len(group), MAX_ROWS):
            values = group[start : start + MAX_ROWS]
            batch = self._batch(zip(*values, strict=True))
            if batch is not None:
                yield from sized(batch)
            else:
                yield from row_chunks(plain_row(self._names, row) for row in values)

    def _of_list(self, group: list[Row | BadRow]) -> Iterator[Chunk]:
        if sum(isinstance(row, BadRow) for row in group) > _FEW:
            yield group
            return
        for bad, run in groupby(group, lambda row: isinstance(row, BadRow)):
            rows = list(run)
            batch = None if bad else self._batch(self._cells(rows))
            yield rows if batch is None else batch

    def _cells(self, rows: list[Row | BadRow]) -> Iterator[list[object]]:
        for name in self._names:
            yield [row[name] for row in rows]  # type: ignore[index]  # the caller gives no bad ones

    def _batch(self, columns: Iterable[Sequence[object]]) -> pa.RecordBatch | None:
        import pyarrow as pa

        try:
            arrays = [self._array(name, values) for name, values in zip(self._names, columns, strict=True)]
            batch = pa.RecordBatch.from_arrays(arrays, names=list(self._names)) if arrays else None
        except (pa.ArrowException, ValueError, TypeError, OverflowError):
            return None  # as rows it will be seen what there is to see
        return batch if batch is not None and is_readable(batch) else None

    def _array(self, name: str, values: Sequence[object]) -> pa.Array:
        import pyarrow as pa

        kinds = set(map(type, values))
        if not kinds <= PLAIN:
            values = [plain(value) for value in values]
            kinds = set(map(type, values))
        kinds.discard(type(None))
        before = self._types.get(name, pa.null())
        if not kinds:
            return pa.nulls(len(values), before)
        if len(kinds) > 1:
            raise TypeError("values of more than one type")
        (kind,) = kinds
        array = _decimals(values, before) if kind is Decimal else pa.array(values, _type_of(kind, values))
        if not isinstance(array, pa.Array):
            raise TypeError("more text than one array holds")
        self._types[name] = array.type
        return array


def _type_of(kind: type, values: Sequence[object]) -> pa.DataType:
    import pyarrow as pa

    if kind in _TYPES:
        return pa.type_for_alias(_TYPES[kind])
    if kind not in (datetime, time):
        raise TypeError("no plain type")
    (zone,) = set(map(attrgetter("tzinfo"), filter(None, values)))
    if kind is datetime:
        return pa.timestamp("us", None if zone is None else _zone_name(zone))
    if zone is not None:
        raise TypeError("a clock with a zone")
    return pa.time64("us")


def _zone_name(zone: object) -> str:
    """Return the name under which Arrow knows a time zone."""
    if zone is timezone.utc:  # noqa: UP017 - is what is meant
        return "UTC"
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    if isinstance(zone, timezone):
        minutes, rest = divmod(zone.utcoffset(None), timedelta(minutes=1))
        if not rest:
            sign = "-" if minutes < 0 else "+"
            return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    raise TypeError("a zone of no name")


def _decimals(values: Sequence[object], before: pa.DataType) -> pa.Array:
    """Return an array with as many digits after the point as before, or as many as the values need."""
    import pyarrow as pa

    if pa.types.is_decimal(before):
        try:
            return pa.array(values, before)
        except pa.ArrowInvalid:
            pass
    found = pa.array(values)
    if not pa.types.is_decimal128(found.type):
        raise TypeError("more digits than a decimal holds")
    return found.cast(pa.decimal128(_DECIMAL_DIGITS, found.type.scale))
