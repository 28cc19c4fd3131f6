"""How the leads of a part's rows stand in Salesforce: what was read, joined with the rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.digests import Positions, digests
from airflow_provider_sfleads.columnar.reading import Leads, Mask
from airflow_provider_sfleads.columnar.same import key_form
from airflow_provider_sfleads.columnar.sought import Index, Question, Sought, bools, values_digest
from airflow_provider_sfleads.core.ids import to_18
from airflow_provider_sfleads.exceptions import ServiceUnavailableError

_ID_LENGTH = 18
# The first 15 characters of an id are the same in both of its forms.
_SHORT_ID = 15
_TO_THE_SECOND = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Creator:
    """Who may have created leads in an earlier try.

    :param user_id: the integration user.
    :param since: the execution's start by Salesforce's clock.
    """

    user_id: str
    since: datetime


class Standing:
    """What is known of each row's lead.

    :param question: what was asked.
    :param sought: the rows.
    :param stage_field: Lead field of the stage, where it was read.
    :param creator: tells leads that an earlier try created.

    ``hits`` counts the leads that were found for a row; the other fields hold where it is one: ``converted``, ``same``
    (all compared values are), ``ours`` (an earlier try may have created it), ``stages`` (codes; -1 is no stage).
    """

    def __init__(
        self, question: Question, sought: Sought, *, stage_field: str | None = None, creator: Creator | None = None
    ) -> None:
        rows = len(sought.tail)
        self._question, self._sought = question, sought
        self._stage_field, self._creator = stage_field, creator
        self.hits = np.zeros(rows, dtype=np.int32)
        self.converted, self.same, self.ours = (np.zeros(rows, dtype=np.bool_) for _ in range(3))
        self.stages = np.full(rows, -1, dtype=np.int32)
        self._ids = np.zeros(rows, dtype="S18")
        self._codes: dict[str, int] = {}
        self._contacts: list[tuple[Positions, pa.Array]] = []

    def read(self, leads: Leads) -> None:
        """Take in leads, whether a row wants them or not.

        :raises ServiceUnavailableError: for a lead whose id is none.
        """
        for batch in leads:
            if not batch.num_rows:
                continue
            full = _ids_of(batch.column("Id"))
            ids = _to_bytes(full)
            self._join(batch, ids, self._sought.by_id, full)
            external = self._question.external
            if external is not None and self._sought.by_key is not None:
                self._join(batch, ids, self._sought.by_key, key_form(external, batch.column(external.name)))

    def ids(self, rows: Positions) -> pa.Array:
        """The 18-character ids of rows that have a lead."""
        return _from_bytes(self._ids[rows], np.ones(len(rows), dtype=np.bool_))

    def id_column(self, shown: Mask) -> pa.Array:
        """The ids of all rows; null where not ``shown``."""
        return _from_bytes(self._ids, shown)

    def stage_column(self, shown: Mask) -> pa.DictionaryArray:
        """The stages of all rows; null where not ``shown``."""
        codes = np.where(shown, self.stages, -1)
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(self.known_stages, pa.string()))

    def contact_column(self, shown: Mask) -> pa.DictionaryArray:
        """The contacts that the rows' leads became; null where not ``shown``."""
        places = np.full(len(self.hits), -1, dtype=np.int32)
        rows = np.concatenate([rows for rows, _ in self._contacts] or [np.zeros(0, dtype=np.int64)])
        places[rows] = np.arange(len(rows), dtype=np.int32)
        places[~shown] = -1
        values = pa.concat_arrays([values for _, values in self._contacts] or [pa.array([], pa.string())])
        return pa.DictionaryArray.from_arrays(pa.array(places, mask=places < 0), values)

    @property
    def known_stages(self) -> list[str]:
        """The stages, by code."""
        return list(self._codes)

    def _join(self, batch: pa.RecordBatch, ids: npt.NDArray[np.bytes_], index: Index | None, marks: pa.Array) -> None:
        if index is None:
            return
        rows = index.find(digests(marks))
        # A lead that was read by its id for one row may come once more by its key, which is that of another row.
        hit = (rows >= 0) & (self._ids[rows] != ids)
        if not hit.any():
            return
        if not hit.all():
            batch, ids, rows = batch.filter(pa.array(hit)), ids[hit], rows[hit]
        self._note(batch, ids, rows)

    def _note(self, batch: pa.RecordBatch, ids: npt.NDArray[np.bytes_], rows: Positions) -> None:
        np.add.at(self.hits, rows, 1)
        self._ids[rows] = ids
        self.converted[rows] = _is_true(batch.column("IsConverted"))
        contacts = batch.column("ConvertedContactId")
        if contacts.null_count < len(contacts):
            there = contacts.is_valid()
            self._contacts.append((rows[bools(there)], contacts.filter(there)))
        if self._stage_field is not None:
            self.stages[rows] = self._coded(batch.column(self._stage_field))
        if self._question.compared:
            self.same[rows] = self._is_same(batch, rows)
        if self._creator is not None:
            self.ours[rows] = self._is_ours(batch, self._creator)

    def _coded(self, stages: pa.Array) -> npt.NDArray[np.int32]:
        coded = stages.dictionary_encode()
        codes = [self._codes.setdefault(stage, len(self._codes)) for stage in coded.dictionary.to_pylist()]
        # One more code for no stage, which is the index -1.
        table = np.array([*codes, -1], dtype=np.int32)
        found: npt.NDArray[np.int32] = table[pc.fill_null(coded.indices, -1).to_numpy()]
        return found

    def _is_same(self, batch: pa.RecordBatch, rows: Positions) -> Mask:
        fields = self._question.compared
        present = np.unpackbits(self._sought.present[rows], axis=1, count=len(fields)).astype(np.bool_)
        theirs = values_digest([batch.column(info.name) for info in fields], fields, present)
        alike: Mask = (theirs == self._sought.values[rows]).all(axis=1)
        return alike

    @staticmethod
    def _is_ours(batch: pa.RecordBatch, creator: Creator) -> Mask:
        """Whether it may be: a lead too many is looked at by the row code, one too few is reported wrong."""
        since = creator.since.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        by = pc.equal(pc.utf8_slice_codeunits(batch.column("CreatedById"), 0, _SHORT_ID), creator.user_id[:_SHORT_ID])
        when = pc.greater_equal(pc.utf8_slice_codeunits(batch.column("CreatedDate"), 0, _TO_THE_SECOND), since)
        return bools(pc.fill_null(pc.and_(by, when), fill_value=True))


def _is_true(words: pa.Array) -> Mask:
    return bools(pc.fill_null(pc.equal(pc.ascii_lower(words), "true"), fill_value=False))


def _ids_of(column: pa.Array) -> pa.Array:
    """Lead ids, all of 18 characters."""
    whole = pc.equal(pc.binary_length(column), _ID_LENGTH)
    if column.null_count == 0 and pc.all(whole, min_count=0).as_py():
        return column
    ids = [to_18(value or "") for value in column.to_pylist()]
    if None in ids:
        raise ServiceUnavailableError("Salesforce answered a look-up of leads with an id that is none.")
    return pa.array(ids, pa.string())


def _to_bytes(ids: pa.Array) -> npt.NDArray[np.bytes_]:
    fixed = ids.cast(pa.binary()).cast(pa.binary(_ID_LENGTH))
    return np.frombuffer(fixed.buffers()[1], dtype="S18", count=len(fixed), offset=fixed.offset * _ID_LENGTH)


def _from_bytes(ids: npt.NDArray[np.bytes_], shown: Mask) -> pa.Array:
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * _ID_LENGTH
    bits = np.packbits(shown, bitorder="little")
    return pa.StringArray.from_buffers(
        len(ids), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(ids)), pa.py_buffer(bits)
    )
