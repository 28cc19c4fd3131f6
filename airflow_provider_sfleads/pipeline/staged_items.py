"""Staged rows one by one: candidates and items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.rows import Row
from airflow_provider_sfleads.core.values import NUMBERS, Refusal, convert
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.plan import Candidate, Item
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD, field_names, originals
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.wire import FieldValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What the rows of a load are sent as.

    :param kind: as a page's; Bulk API 2.0 knows the same operations.
    :param expected: ``created`` or ``updated``.
    """

    kind: PageKind
    expected: Action


def candidates(batch: pa.RecordBatch, lead: SObjectInfo) -> list[Candidate]:
    """The candidates that were staged, as ``Plan.take`` had returned them.

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
    """The items of some rows of a load, as ``Plan.look_up`` had returned them.

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
    """The records of staged rows: what is sent of each, by Lead field.

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
    """The values that staged cells stand for; cells hold them as text, in their final form."""
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
    """The column with times as Python knows them, which has no nanoseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return column.cast(pa.duration("us"), safe=False)
    return column.cast(pa.time64("us"), safe=False) if pa.types.is_time64(kind) else column
