"""What a look-up holds of a part's rows: where each key stands, and what its values are, in digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.digests import Digests, Places, Positions, combined, digests
from airflow_provider_sfleads.columnar.reading import Batches, Mask
from airflow_provider_sfleads.columnar.same import same_form
from airflow_provider_sfleads.columnar.sources import Wanted
from airflow_provider_sfleads.columnar.staged import CLEAR, FIELD
from airflow_provider_sfleads.core.describe import FieldInfo

Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about the leads of a part.

    :param external: external-ID field of the keys, for rows without a Lead id.
    :param key_column: staged column of the keys, as Salesforce is asked for them.
    :param read: Lead fields to read beside ``Id`` and the external ID.
    :param compared: fields whose values are compared with the rows' cells.
    :param required: fields without which no lead can be created.
    """

    external: FieldInfo | None
    key_column: str
    read: tuple[str, ...]
    compared: tuple[FieldInfo, ...] = ()
    required: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """All Lead fields to read."""
        own = (self.external.name,) if self.external else ()
        return tuple(dict.fromkeys(("Id", *own, *self.read, *(info.name for info in self.compared))))


@dataclass(frozen=True, slots=True)
class Index:
    """Finds rows.

    :param places: the rows' digests.
    :param rows: their positions in the part.
    """

    places: Places
    rows: Positions

    def find(self, wanted: Digests) -> Positions:
        """The row of each digest; -1 where there is none."""
        at = self.places.find(wanted)
        return np.where(at >= 0, self.rows[at], -1) if len(self.rows) else at


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """The rows of a part, and where they are found.

    :param tail: rows that are not looked up.
    :param has_id: rows with a Lead id.
    :param by_id: the rows with one.
    :param by_key: the rows without.
    :param lacking: rows that lack what a new lead must have.
    :param present: which of the compared fields a row has a cell for, in bits.
    :param values: one digest of those cells.
    :param wanted: what to read.
    """

    tail: Mask
    has_id: Mask
    by_id: Index | None
    by_key: Index | None
    lacking: Mask
    present: Bits
    values: Digests
    wanted: Wanted


def seek(batches: Batches, question: Question) -> Sought:
    """Go over a part's rows once."""
    parts = [_part(batch, question) for batch in batches()]
    tail, has_id = (np.concatenate([getattr(part, name) for part in parts]) for name in ("tail", "has_id"))
    keyed = np.concatenate([part.keyed for part in parts])
    id_rows, key_rows = np.flatnonzero(has_id & ~tail), np.flatnonzero(keyed)
    return Sought(
        tail=tail,
        has_id=has_id,
        by_id=_index([part.ids for part in parts], id_rows),
        by_key=_index([part.keys for part in parts], key_rows),
        lacking=np.concatenate([part.lacking for part in parts]),
        present=np.concatenate([part.present for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        wanted=Wanted(
            fields=question.fields,
            ids=lambda: _strings(batches, "lead_id", _with_id),
            id_count=len(id_rows),
            external=question.external,
            keys=lambda: _strings(batches, question.key_column, lambda batch: _with_key(batch, question)),
            key_count=len(key_rows),
            key_bytes=sum(part.key_bytes for part in parts),
        ),
    )


def values_digest(columns: list[pa.Array], fields: tuple[FieldInfo, ...], present: Mask) -> Digests:
    """One digest of the values of several fields.

    :param columns: strings, one column a field.
    :param present: shape (rows, fields): which values count.
    """
    parts = []
    for place, (info, column) in enumerate(zip(fields, columns, strict=True)):
        found = digests(same_form(info, column))
        if not present[:, place].all():
            found[~present[:, place]] = 0
        parts.append(found)
    return combined(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    tail: Mask
    has_id: Mask
    keyed: Mask
    ids: Digests
    keys: Digests
    key_bytes: int
    lacking: Mask
    present: Bits
    values: Digests


def _part(batch: pa.RecordBatch, question: Question) -> _Part:
    with_id, keyed = _with_id(batch), _with_key(batch, question)
    present, values = _cells(batch, question.compared)
    lacking = np.zeros(batch.num_rows, dtype=np.bool_)
    for name in question.required:
        cells = batch.column(FIELD + name)
        lacking |= bools(pc.fill_null(pc.equal(cells, CLEAR), fill_value=True))
    return _Part(
        tail=bools(batch.column("tail")),
        has_id=bools(batch.column("lead_id").is_valid()),
        keyed=bools(keyed),
        ids=digests(batch.column("lead_id").filter(with_id)),
        keys=digests(batch.column("match").filter(keyed)),
        key_bytes=pc.sum(pc.binary_length(batch.column(question.key_column).filter(keyed))).as_py() or 0,
        lacking=lacking,
        present=present,
        values=values,
    )


def _cells(batch: pa.RecordBatch, fields: tuple[FieldInfo, ...]) -> tuple[Bits, Digests]:
    if not fields:
        return np.zeros((batch.num_rows, 0), dtype=np.uint8), np.zeros((batch.num_rows, 2), dtype=np.uint64)
    columns = [batch.column(FIELD + info.name) for info in fields]
    present = np.stack([bools(column.is_valid()) for column in columns], axis=1)
    emptied = [pc.if_else(pc.equal(column, CLEAR), "", column) for column in columns]
    return np.packbits(present, axis=1), values_digest(emptied, fields, present)


def _with_id(batch: pa.RecordBatch) -> pa.Array:
    return pc.and_not(batch.column("lead_id").is_valid(), batch.column("tail"))


def _with_key(batch: pa.RecordBatch, question: Question) -> pa.Array:
    if question.external is None:
        return pa.array(np.zeros(batch.num_rows, dtype=np.bool_))
    keyed = pc.and_(batch.column("match").is_valid(), batch.column("lead_id").is_null())
    return pc.and_not(keyed, batch.column("tail"))


def _strings(batches: Batches, column: str, which: Callable[[pa.RecordBatch], pa.Array]) -> Iterator[str]:
    for batch in batches():
        yield from batch.column(column).filter(which(batch)).to_pylist()


def bools(mask: pa.Array) -> Mask:
    """A column of booleans, none of them null, as numpy has it."""
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _index(parts: list[Digests], rows: Positions) -> Index | None:
    return Index(Places(np.concatenate(parts)), rows) if len(rows) else None
