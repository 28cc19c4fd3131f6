"""Text of a Parquet file whose columns do not say that they are text.

Impala, Hive and older Spark write strings as byte arrays without the mark ``UTF8``
(https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#string), and enumerations are marked as such.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exports.python_values import batch_rows
from airflow_provider_sfleads.exports.record_batches import Chunk

if TYPE_CHECKING:
    import pyarrow as pa


def with_text(batch: pa.RecordBatch, *, where: str, first: int) -> Chunk:
    """Return ``batch`` with bytes that are UTF-8, and hold no NUL, as text; other bytes stay bytes, value by value.

    A batch in which a column would hold both becomes a list of rows.

    :param where: name of the source, for messages.
    :param first: number of the batch's first row, counted from 1.
    """
    import pyarrow as pa

    names = [field.name for field in batch.schema if _text_type(field.type) is not None]
    if not names:
        return batch
    arrays = {name: _as_text(batch.column(name)) for name in names}
    if any(array is None for array in arrays.values()):
        return [_with_text(row, names) for row in batch_rows(batch, where=where, first=first)]
    columns = {name: arrays.get(name, column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    return pa.RecordBatch.from_pydict(columns)


def _as_text(column: pa.Array) -> pa.Array | None:
    """Return a column with its bytes as text, or as it is where they are none; ``None`` where it holds both."""
    import pyarrow as pa

    try:
        text = column.cast(_text_type(column.type))
    except pa.ArrowInvalid:  # not all of it is UTF-8
        text = None
    if text is not None and not _holds_nul(text):
        return text
    values = column.to_pylist()
    return column if [_read(value) for value in values] == values else None


def _text_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type of text in place of one of bytes, or of lists of them; ``None`` for any other."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _text_type(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = _text_type(kind.value_type)
        return None if inner is None else pa.list_(inner)
    is_bytes = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return pa.string() if any(check(kind) for check in is_bytes) else None


def _holds_nul(text: pa.Array) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    while pa.types.is_list(text.type):
        text = text.flatten()
    return bool(pc.any(pc.match_substring(text, "\0")).as_py())


def _with_text(row: Row | BadRow, columns: list[str]) -> Row | BadRow:
    values = row.values if isinstance(row, BadRow) else row
    read = dict(values) | {column: _read(values[column]) for column in columns}
    return replace(row, values=read) if isinstance(row, BadRow) else read


def _read(value: object) -> object:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if not isinstance(value, bytes) or b"\0" in value:
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
