"""An export in chunks: record batches where its rows lie in columns, lists of rows where they do not."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from decimal import Decimal
from itertools import groupby, islice
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exports.python_values import (
    PLAIN,
    batch_rows,
    in_python_types,
    is_readable,
    plain,
    plain_row,
)

#: Rows in columns, all of which Python's own types can hold; or rows one by one, and those that could not be read.
Chunk: TypeAlias = "pa.RecordBatch | list[Row | BadRow]"
#: Values of a row, in the order of the columns.
Values: TypeAlias = Sequence[object]
_T = TypeVar("_T")

#: Most rows of a chunk.
MAX_ROWS = 20_000
#: About the most bytes of a record batch; one row alone may have more.
MAX_BYTES = 4 * 1024 * 1024
_LIST_ROWS = 2_000
# Most bad rows of a list that is turned into columns around them.
_FEW = 20
# Arrow types that hold all values of a Python type, or refuse them; of the last three it goes by the values.
_TYPES = {str: "string", int: "int64", float: "float64", bool: "bool", bytes: "binary", date: "date32",
          datetime: None, time: None, Decimal: None}  # fmt: skip
_DECIMAL_DIGITS = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkStream:
    """An opened export.

    :param columns: column names, in the export's order.
    :param chunks: the rows, once, in order; every record batch and every :data:`Row` has all ``columns``, in that
        order. A column may have another Arrow type in the next batch.
    """

    columns: tuple[str, ...]
    chunks: Iterator[Chunk] = field(repr=False)

    @property
    def rows(self) -> Iterator[Row | BadRow]:
        """The rows one by one, for what is few or slow anyway."""
        for chunk in self.chunks:
            yield from chunk_rows(chunk)


def chunk_rows(chunk: Chunk) -> Iterator[Row | BadRow]:
    """Yield the rows of a chunk one by one."""
    return iter(chunk) if isinstance(chunk, list) else batch_rows(chunk, where="the export", first=1)


def batch_chunks(batches: Iterable[Chunk], where: str) -> Generator[Chunk]:
    """Yield the rows of a source's batches in batches of at most :data:`MAX_ROWS` and about :data:`MAX_BYTES`.

    Small ones are put together, for what is done once a batch; an error among them comes after the rows before it.
    A batch with a value that Python cannot hold (year 10000, text that is not UTF-8) becomes a list of rows, and a list
    of rows stays one.

    :param where: name of the source, for messages.
    """
    first = 1
    for chunk in _gathered(batches):
        if isinstance(chunk, list):
            yield chunk
            first += len(chunk)
            continue
        for piece in _sized(chunk):
            batch = in_python_types(piece)
            yield batch if is_readable(batch) else list(batch_rows(batch, where=where, first=first))
            first += len(batch)


def value_chunks(names: tuple[str, ...], groups: Iterable[Sequence[Values | BadRow]]) -> Generator[Chunk]:
    """Yield in chunks what a source gives for rows, group by group; an error comes after the rows before it.

    :param names: the columns, in the order of their values in a row.
    """
    types: dict[str, pa.DataType] = {}
    pieces = (group[start : start + MAX_ROWS] for group in groups for start in range(0, len(group), MAX_ROWS))
    return _gathered(chunk for piece in pieces for chunk in _piece_chunks(names, piece, types))


def _piece_chunks(
    names: tuple[str, ...], rows: Sequence[Values | BadRow], types: dict[str, pa.DataType]
) -> Iterator[Chunk]:
    bad = list(map(type, rows)).count(BadRow)
    for is_list, run in groupby(rows, lambda row: bad > _FEW or isinstance(row, BadRow)) if bad else [(False, rows)]:
        found = list(run)
        batch = None if is_list else _batch(names, found, types)
        if batch is not None:
            yield from _sized(batch)
        else:
            yield from row_lists(row if isinstance(row, BadRow) else plain_row(names, row) for row in found)


def _batch(names: tuple[str, ...], rows: list[Any], types: dict[str, pa.DataType]) -> pa.RecordBatch | None:
    """Return rows as columns; ``None`` where a column has values of several types, or of one that is not plain.

    :param types: the columns' types so far, which are noted here.
    """
    try:
        columns = zip(names, zip(*rows, strict=True), strict=True)
        arrays = {name: _array(values, types.get(name, pa.null())) for name, values in columns}
        batch = pa.RecordBatch.from_pydict(arrays)
    except (pa.ArrowException, ValueError, TypeError, LookupError, OverflowError):
        return None  # as rows it will be seen what there is to see
    types.update((name, array.type) for name, array in arrays.items())
    return batch if arrays and is_readable(batch) else None


def _array(values: Sequence[Any], before: pa.DataType) -> pa.Array:
    """Return a column of values that are all of one plain type.

    :param before: its type so far; it stays where there are no values, and where decimals have no more digits.
    :raises ValueError: or others: it cannot be one that keeps its values as they are.
    """
    kinds = set(map(type, values))
    if not kinds <= PLAIN:
        values = list(map(plain, values))
        kinds = set(map(type, values))
    kinds.discard(type(None))
    if not kinds:
        return pa.nulls(len(values), before)
    (kind,) = kinds
    if kind in (datetime, time):
        (zone,) = {value.tzinfo for value in values if value is not None}
        # Of other zones Arrow might not take the right name, and its times of day have none.
        if zone is not None and (kind is time or not (isinstance(zone, timezone) or getattr(zone, "key", None))):
            raise TypeError
    if kind is Decimal and pa.types.is_decimal(before):
        with suppress(pa.ArrowInvalid):
            return pa.array(values, before)
    array = pa.array(values, _TYPES[kind])
    if kind is Decimal:
        return array.cast(pa.decimal128(_DECIMAL_DIGITS, array.type.scale))
    if not isinstance(array, pa.Array):
        raise TypeError  # more text than one array holds
    return array


def _sized(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield ``batch`` in pieces of at most :data:`MAX_ROWS` and about :data:`MAX_BYTES`."""
    pieces = max(-(-batch.nbytes // MAX_BYTES), 1)
    length = max(min(MAX_ROWS, batch.num_rows // pieces), 1)
    for start in range(0, batch.num_rows, length):
        yield batch.slice(start, length)


def _gathered(chunks: Iterable[Chunk]) -> Generator[Chunk]:
    """Yield chunks with small record batches of one schema put together; an error comes after the rows before it."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    try:
        for chunk in chunks:
            if held and not _fits(chunk, held[0], rows, size):
                yield _joined(held)
                held, rows, size = [], 0, 0
            if isinstance(chunk, list):
                yield chunk
                continue
            held.append(chunk)
            rows += chunk.num_rows
            size += chunk.nbytes
    except Exception:
        if held:
            yield _joined(held)
        raise
    if held:
        yield _joined(held)


def _fits(chunk: Chunk, held: pa.RecordBatch, rows: int, size: int) -> bool:
    return (
        not isinstance(chunk, list)
        and rows + chunk.num_rows <= MAX_ROWS
        and size + chunk.nbytes <= MAX_BYTES
        and chunk.schema.equals(held.schema)
    )


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    whole = batches if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()
    return whole[0] if whole else batches[0]


def row_lists(rows: Iterable[_T]) -> Iterator[list[_T]]:
    """Yield ``rows`` in lists; an error among them comes after the rows before it."""
    rows = iter(rows)
    while True:
        found: list[_T] = []
        try:
            found.extend(islice(rows, _LIST_ROWS))
        except Exception:
            if found:
                yield found
            raise
        if not found:
            return
        yield found
