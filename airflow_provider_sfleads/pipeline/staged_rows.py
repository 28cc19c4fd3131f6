"""Rows on their way: their columns, their file, and the CSV that a job uploads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from airflow_provider_sfleads.core.outcome import Action, Row
from airflow_provider_sfleads.core.values import NUMBERS, Refusal, convert
from airflow_provider_sfleads.pipeline.column_text import may_hold
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.plan import Candidate, Item
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import EMPTIED
from airflow_provider_sfleads.salesforce.wire import FieldValue

#: Stands in a cell for "empty this field"; no value holds it, for CSV has no NUL.
CLEAR = "\0"
FIELD, ORIGINAL = "f:", "o:"
HEAD = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("lead_id", pa.string()),
        pa.field("match", pa.string()),
        pa.field("apart", pa.bool_()),
    ]
)
PLACED = ("salesforce_id", "old_stage", "new_stage")
# Of a packed file: each column's name, the column that it is stored as, and whether it may hold nulls.
_COLUMNS = b"airflow_provider_sfleads.columns"
# Before each batch of a packed file, with the length of what follows.
_PACKED, _LENGTH = b"rows", 8
_CELL_MARKS = 3  # two quotes, and a comma or line end


def staged_schema(fields: Sequence[str], originals: pa.Schema, *, placed: bool = False) -> pa.Schema:
    """Return the columns of staged rows.

    :param fields: Lead fields of the records, in the order of their columns in the CSV.
    :param originals: the export's columns.
    :param placed: whether what the look-up found is there too.
    """
    found = [pa.field(name, pa.string()) for name in PLACED] if placed else []
    cells = [pa.field(FIELD + name, pa.string()) for name in fields]
    rows = [pa.field(ORIGINAL + field.name, field.type) for field in originals]
    return pa.schema([*HEAD, *found, *cells, *rows])


def field_names(schema: pa.Schema) -> tuple[str, ...]:
    """Return the Lead fields of staged rows."""
    return tuple(name.removeprefix(FIELD) for name in schema.names if name.startswith(FIELD))


def originals(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the original rows of staged rows."""
    names = [name for name in batch.schema.names if name.startswith(ORIGINAL)]
    return batch.select(names).rename_columns([name.removeprefix(ORIGINAL) for name in names])


def without_originals(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Staged rows without the original ones."""
    return batch.select([name for name in batch.schema.names if not name.startswith(ORIGINAL)])


def with_place(batch: pa.RecordBatch, placed: Sequence[pa.Array]) -> pa.RecordBatch:
    """Staged rows with what the look-up found: id, old and new stage."""
    known = {name: batch.column(name) for name in batch.schema.names if name not in PLACED}
    head = {name: known.pop(name) for name in HEAD.names}
    return pa.RecordBatch.from_pydict(head | dict(zip(PLACED, placed, strict=True)) | known)


def placed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Staged rows as those of a load; where no look-up was made, nothing was found."""
    if PLACED[0] in batch.schema.names:
        return batch
    nothing = pa.nulls(batch.num_rows, pa.string())
    return with_place(batch, [nothing] * len(PLACED))


def at_places(batches: Iterable[pa.RecordBatch], places: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """Yield some rows of batches.

    :param places: where they stand among all rows of the batches.
    """
    wanted, start = np.sort(np.asarray(places, dtype=np.int64)), 0
    for batch in batches:
        first, last = np.searchsorted(wanted, [start, start + batch.num_rows])
        if last > first:
            yield batch.take(pa.array(wanted[first:last] - start))
        start += batch.num_rows


def csv_bytes(batch: pa.RecordBatch) -> int:
    """Return how many bytes the rows take in a job's CSV at most, with a Lead id in front."""
    total = batch.num_rows * (18 + _CELL_MARKS)
    for name in field_names(batch.schema):
        cells = batch.column(FIELD + name)
        total += (pc.sum(pc.binary_length(cells)).as_py() or 0) + batch.num_rows * _CELL_MARKS
        if may_hold(cells, b'"'):
            total += pc.sum(pc.count_substring(cells, '"')).as_py() or 0
        if may_hold(cells, CLEAR.encode()):
            total += len(EMPTIED) * (pc.sum(pc.equal(cells, CLEAR)).as_py() or 0)
    return int(total)


class StagedWriter:
    """Writes staged rows; batches need not have the same types of original columns.

    :param is_packed: whether to pack them. On a disk they stay for minutes, and to pack them costs more than all else
        that is done with them; to send them to a storage costs more.
    """

    def __init__(self, path: Path, *, is_packed: bool = False) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._is_packed = is_packed
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        if self._is_packed:
            self._pack(batch)
            return
        if self._writer is None or batch.schema != self._schema:
            self._end_stream()
            self._writer = pa.ipc.new_stream(self._sink, batch.schema)
            self._schema = batch.schema
        self._writer.write_batch(batch)

    def _pack(self, batch: pa.RecordBatch) -> None:
        packed = _packed(batch)
        self._sink.write(_PACKED + len(packed).to_bytes(_LENGTH, "little"))
        self._sink.write(packed)

    def close(self) -> None:
        """Complete the file."""
        self._end_stream()
        self._sink.close()

    def _end_stream(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def read_staged(stream: IO[bytes] | pa.NativeFile) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file that :class:`StagedWriter` wrote, in order."""
    source = stream if isinstance(stream, pa.NativeFile) else pa.PythonFile(stream, "r")
    is_packed = source.read(len(_PACKED)) == _PACKED
    source.seek(0)
    while is_packed and source.read(len(_PACKED)):
        yield _unpacked(source.read(int.from_bytes(source.read(_LENGTH), "little")))
    while not is_packed:
        try:
            reader = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            # One stream follows another; where none does, that is the end.
            if source.read(1):
                raise
            return
        yield from reader


def _packed(batch: pa.RecordBatch) -> pa.Buffer:
    """Return rows as Parquet, which takes half of what Arrow's own compressed format does."""
    sink, rows = pa.BufferOutputStream(), pa.Table.from_batches([_folded(batch)])
    try:
        pq.write_table(rows, sink, compression="zstd", use_dictionary=False, write_statistics=False)
    except pa.ArrowNotImplementedError:
        # It has no such type of original columns.
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(rows)
    return sink.getvalue()


def _unpacked(packed: bytes) -> pa.RecordBatch:
    reads_parquet = packed.startswith(b"PAR1")
    rows = pq.ParquetFile(pa.BufferReader(packed)).read() if reads_parquet else pa.ipc.open_stream(packed).read_all()
    return _unfolded(rows.combine_chunks().to_batches()[0])


def _folded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows without the columns that equal another one; the schema's metadata say which."""
    kept: dict[str, pa.Array] = {}
    columns: list[tuple[str, str, bool]] = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        alike = (name for name, known in kept.items() if known.type == column.type and known.equals(column))
        source = next(alike, field.name)
        kept.setdefault(source, column)
        columns.append((field.name, source, field.nullable))
    metadata = {_COLUMNS: json.dumps(columns)}
    return pa.RecordBatch.from_arrays([*kept.values()], schema=batch.select([*kept]).schema.with_metadata(metadata))


def _unfolded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows as they were before :func:`_folded`."""
    said = json.loads(batch.schema.metadata[_COLUMNS])
    columns = [(name, batch.column(source), nullable) for name, source, nullable in said]
    schema = pa.schema([pa.field(name, column.type, nullable=nullable) for name, column, nullable in columns])
    return pa.RecordBatch.from_arrays([column for _, column, _ in columns], schema=schema)


def write_csv(batches: Iterable[pa.RecordBatch], path: Path, fields: Sequence[str], *, by_id: bool) -> int:
    """Write the CSV of a job: UTF-8, LF, every value in quotes, nothing for a field that is left alone.

    :param fields: Lead fields to write, in this order.
    :param by_id: whether the Lead id goes in front, for an update.
    :return: its size in bytes.
    """
    names = [*(["Id"] if by_id else []), *fields]
    schema = pa.schema([(name, pa.string()) for name in names])
    path.touch(0o600)  # personal data
    options = pa_csv.WriteOptions(quoting_style="needed")
    with pa_csv.CSVWriter(str(path), schema, write_options=options) as writer:
        for batch in batches:
            cells = [_uploaded(batch.column(FIELD + name)) for name in fields]
            ids = [batch.column("salesforce_id")] if by_id else []
            writer.write_batch(pa.RecordBatch.from_arrays([*ids, *cells], schema=schema))
    return path.stat().st_size


def _uploaded(cells: pa.Array) -> pa.Array:
    if not may_hold(cells, CLEAR.encode()):
        return cells
    return pc.if_else(pc.fill_null(pc.equal(cells, CLEAR), fill_value=False), EMPTIED, cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the rows of a load are sent as.

    :param kind: as a page's; Bulk API 2.0 knows the same operations.
    :param expected: ``created`` or ``updated``.
    """

    kind: PageKind
    expected: Action


def candidates(batch: pa.RecordBatch, lead: SObjectInfo) -> list[Candidate]:
    """Return the candidates that were staged, as ``Plan.take`` had returned them.

    :param lead: the org's Lead, for the types of the fields.
    """
    heads = zip(*(batch.column(name).to_pylist() for name in ("key", "lead_id", "match")), strict=True)
    return [
        Candidate(key=key, row=row, record=record, lead_id=lead_id, external_id=match)
        for (key, lead_id, match), row, record in zip(heads, _rows(batch), field_values(batch, lead), strict=True)
    ]


def rebuild(
    batch: pa.RecordBatch, positions: Sequence[int] | Positions, lead: SObjectInfo, sending: Sending
) -> list[Item]:
    """Return the items of some rows of a load, as ``Plan.look_up`` had returned them.

    :param batch: rows of a load: staged rows with what the look-up found.
    :param positions: which of them, in this order.
    :param lead: the org's Lead, for the types of the fields.
    :param sending: what the load is sent as.
    """
    rows = batch.take(pa.array(positions, pa.int64()))
    found = (rows.column(name).to_pylist() for name in ("salesforce_id", "old_stage", "new_stage"))
    by_id = sending.kind.operation == "update"
    return [
        Item(
            candidate=candidate,
            kind=sending.kind,
            record={"id": lead_id, **candidate.record} if by_id else candidate.record,
            expected=sending.expected,
            salesforce_id=lead_id,
            old_stage=old_stage,
            new_stage=new_stage,
        )
        for candidate, lead_id, old_stage, new_stage in zip(candidates(rows, lead), *found, strict=True)
    ]


def field_values(batch: pa.RecordBatch, lead: SObjectInfo, *, by_id: bool = False) -> list[dict[str, FieldValue]]:
    """Return the records of staged rows: what is sent of each, by Lead field.

    :param by_id: whether the id of the row's lead goes in front, for an update.
    """
    ids = batch.column("salesforce_id").to_pylist() if by_id else ()
    records: list[dict[str, FieldValue]] = [{"id": lead_id} for lead_id in ids] or [{} for _ in range(batch.num_rows)]
    for name in field_names(batch.schema):
        cells = batch.column(FIELD + name)
        if cells.null_count == len(cells):
            continue
        values = _values(lead.find(name), cells)
        if cells.null_count:
            pairs = zip(records, cells.is_valid().to_pylist(), values, strict=True)
            for record, is_there, value in pairs:
                if is_there:
                    record[name] = value
        else:
            for record, value in zip(records, values, strict=True):
                record[name] = value
    return records


def _values(info: FieldInfo | None, cells: pa.Array) -> list[FieldValue]:
    """Return the values that staged cells stand for; cells hold them as text, in their final form."""
    texts = cells.to_pylist()
    if info is not None and (info.type in NUMBERS or info.type == "boolean"):
        known = {text: _value(info, text) for text in set(texts) - {None}}
        return [known.get(text) for text in texts]
    return [None if text == CLEAR else text for text in texts] if CLEAR in texts else texts


def _value(info: FieldInfo, cell: str) -> FieldValue:
    value = None if cell == CLEAR else convert(info, cell)
    return cell if isinstance(value, Refusal) else value


def _rows(batch: pa.RecordBatch) -> list[Row]:
    found = originals(batch)
    if not found.num_columns:
        return [{} for _ in range(batch.num_rows)]
    rows: list[Row] = pa.RecordBatch.from_arrays(
        [_readable(column) for column in found.columns], names=found.schema.names
    ).to_pylist()
    return rows


def _readable(column: pa.Array) -> pa.Array:
    """Return the column with times as Python knows them, which has no nanoseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return column.cast(pa.duration("us"), safe=False)
    return column.cast(pa.time64("us"), safe=False) if pa.types.is_time64(kind) else column
