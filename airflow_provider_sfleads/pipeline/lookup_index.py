"""What a look-up holds of a part's rows: where each key stands, and what its values are, in digests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.pipeline.column_equality import same_form
from airflow_provider_sfleads.pipeline.digests import Digests, Places, Positions, combined, digests, repeated_digests
from airflow_provider_sfleads.pipeline.lookup import Batches, Mask
from airflow_provider_sfleads.pipeline.lookup_sources import Wanted
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD
from airflow_provider_sfleads.salesforce.describe import FieldInfo

Bits = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupQuery:
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
    :param rows: their positions in the part; ``None`` where they are all rows of it.
    """

    places: Places
    rows: Positions | None

    def find(self, wanted: Digests) -> Positions:
        """Return the row of each digest; -1 where there is none."""
        at = self.places.find(wanted)
        return at if self.rows is None else np.where(at >= 0, self.rows[at], -1)


class Cells:
    """The cells that are compared with what Salesforce has, in digests; nobody looks at them before a lead is found.

    :param batches: the rows.
    :param fields: the fields compared.
    """

    def __init__(self, batches: Batches, fields: tuple[FieldInfo, ...]) -> None:
        self._batches, self._fields = batches, fields
        self._present = np.zeros((0, 0), dtype=np.uint8)
        self._values: Digests | None = None

    def same(self, leads: pa.RecordBatch, rows: Positions) -> Mask:
        """Return whether leads have the values of rows, in all fields that the row has a cell for."""
        if self._values is None:
            parts = [self._read(batch) for batch in self._batches()]
            self._present, self._values = (np.concatenate(column) for column in zip(*parts, strict=True))
        present = np.unpackbits(self._present[rows], axis=1, count=len(self._fields)).astype(np.bool_)
        theirs = self._digests([leads.column(info.name) for info in self._fields], present)
        alike: Mask = (theirs == self._values[rows]).all(axis=1)
        return alike

    def _read(self, batch: pa.RecordBatch) -> tuple[Bits, Digests]:
        columns = [batch.column(FIELD + info.name) for info in self._fields]
        present = np.stack([bools(column.is_valid()) for column in columns], axis=1)
        emptied = [pc.if_else(pc.equal(column, CLEAR), "", column) for column in columns]
        return np.packbits(present, axis=1), self._digests(emptied, present)

    def _digests(self, columns: list[pa.Array], present: Mask) -> Digests:
        """Return one digest of the values of all fields, as far as they are ``present``."""
        parts = []
        for place, (info, column) in enumerate(zip(self._fields, columns, strict=True)):
            found = repeated_digests(column, partial(same_form, info))
            if not present[:, place].all():
                found[~present[:, place]] = 0
            parts.append(found)
        return combined(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIndexes:
    """The rows of a part, and where they are found.

    :param apart: rows that are not looked up.
    :param has_id: rows with a Lead id.
    :param by_id: the rows with one.
    :param by_key: the rows without.
    :param lacking: rows that lack what a new lead must have.
    :param wanted: what to read.
    """

    apart: Mask
    has_id: Mask
    by_id: Index | None
    by_key: Index | None
    lacking: Mask
    wanted: Wanted


def seek(batches: Batches, question: LookupQuery) -> RowIndexes:
    """Go over a part's rows once."""
    nothing = np.zeros(0, dtype=np.bool_)
    apart, has_id, lacking = [nothing], [nothing], [nothing]
    ids, keys = _Digested(), _Digested()
    key_bytes = 0
    for batch in batches():
        apart.append(bools(batch.column("apart")))
        has_id.append(bools(batch.column("lead_id").is_valid()))
        lacking.append(_lacking(batch, question))
        ids.add(batch.column("lead_id"), _with_id(batch))
        with_key = _with_key(batch, question)
        keys.add(batch.column("match"), with_key)
        key_bytes += pc.sum(pc.binary_length(batch.column(question.key_column).filter(with_key))).as_py() or 0
    return RowIndexes(
        apart=np.concatenate(apart),
        has_id=np.concatenate(has_id),
        lacking=np.concatenate(lacking),
        by_id=ids.index(),
        by_key=keys.index(),
        wanted=Wanted(
            fields=question.fields,
            ids=lambda: _strings(batches, "lead_id", _with_id),
            id_count=ids.count,
            external=question.external,
            keys=lambda: _strings(batches, question.key_column, lambda batch: _with_key(batch, question)),
            key_count=keys.count,
            key_bytes=key_bytes,
        ),
    )


class _Digested:
    """Digests of some rows' strings, and which rows they are."""

    def __init__(self) -> None:
        self.count = 0
        self._digests: list[Digests] = []
        self._which: list[Mask] = []

    def add(self, column: pa.Array, which: pa.Array) -> None:
        """Take in the marked ones of a batch."""
        self._which.append(bools(which))
        found = digests(column.filter(which))
        self._digests.append(found)
        self.count += len(found)

    def index(self) -> Index | None:
        """Return where they stand, and empty this."""
        if not self.count:
            return None
        which = np.concatenate(self._which)
        known = np.concatenate(self._digests)
        # Of these there are too many to hold them twice.
        self._digests.clear()
        return Index(Places(known), None if which.all() else np.flatnonzero(which))


def _lacking(batch: pa.RecordBatch, question: LookupQuery) -> Mask:
    lacking = np.zeros(batch.num_rows, dtype=np.bool_)
    for name in question.required:
        lacking |= bools(pc.fill_null(pc.equal(batch.column(FIELD + name), CLEAR), fill_value=True))
    return lacking


def _with_id(batch: pa.RecordBatch) -> pa.Array:
    return pc.and_not(batch.column("lead_id").is_valid(), batch.column("apart"))


def _with_key(batch: pa.RecordBatch, question: LookupQuery) -> pa.Array:
    if question.external is None:
        return pa.array(np.zeros(batch.num_rows, dtype=np.bool_))
    keyed = pc.and_(batch.column("match").is_valid(), batch.column("lead_id").is_null())
    return pc.and_not(keyed, batch.column("apart"))


def _strings(batches: Batches, column: str, which: Callable[[pa.RecordBatch], pa.Array]) -> Iterator[str]:
    for batch in batches():
        yield from batch.column(column).filter(which(batch)).to_pylist()


def bools(mask: pa.Array) -> Mask:
    """Return a column of booleans, none of them null, as numpy has it."""
    return np.asarray(mask.to_numpy(zero_copy_only=False), dtype=np.bool_)
