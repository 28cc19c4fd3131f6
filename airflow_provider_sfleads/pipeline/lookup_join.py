"""How the leads of a part's rows stand in Salesforce: what was read, joined with the rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.digests import Positions, digests
from airflow_provider_sfleads.pipeline.ids import Ids, id_bytes, id_strings, no_ids
from airflow_provider_sfleads.pipeline.lookup_index import Cells, LookupQuery, RowIndexes, bools
from airflow_provider_sfleads.pipeline.lookup_reading import Leads, Mask
from airflow_provider_sfleads.pipeline.same import key_form


class LookupJoin:
    """What is known of each row's lead.

    :param question: what was asked.
    :param rows: how many rows there are.
    :param stage_field: Lead field of the stage, where it was read.

    ``hits`` counts the leads that were found for a row; the other fields hold where it is one: ``converted``, ``same``
    (all compared values are), ``stages`` (codes; -1 is no stage).
    """

    def __init__(self, question: LookupQuery, rows: int, *, stage_field: str | None = None) -> None:
        self._question, self._stage_field = question, stage_field
        self.hits = np.zeros(rows, dtype=np.int32)
        self.converted, self.same = (np.zeros(rows, dtype=np.bool_) for _ in range(2))
        self.stages = np.full(rows, -1, dtype=np.int32)
        self._ids = no_ids(rows)
        self._codes: dict[str, int] = {}
        self._contacts: list[tuple[Positions, pa.Array]] = []

    def read(self, leads: Leads, sought: RowIndexes, cells: Cells | None) -> None:
        """Take in leads, whether a row wants them or not.

        :param sought: the rows.
        :param cells: what is compared with the leads' values.
        :raises ServiceUnavailableError: for a lead whose id is none.
        """
        external = self._question.external
        for batch in leads:
            ids = id_bytes(batch.column("Id"))
            if (ids == b"").any():
                raise ServiceUnavailableError("Salesforce answered a look-up of leads with an id that is none.")
            if sought.by_id is not None:
                self._join(batch, ids, sought.by_id.find(digests(id_strings(ids))), cells)
            if sought.by_key is not None and external is not None:
                keys = key_form(external, batch.column(external.name))
                self._join(batch, ids, sought.by_key.find(digests(keys)), cells)

    def ids(self, rows: Positions) -> pa.Array:
        """The 18-character ids of rows that have a lead."""
        return id_strings(self._ids[rows])

    def id_column(self, shown: Mask) -> pa.Array:
        """The ids of all rows; null where not ``shown``."""
        return id_strings(np.where(shown, self._ids, b""))

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

    def _join(self, batch: pa.RecordBatch, ids: Ids, rows: Positions, cells: Cells | None) -> None:
        # A lead that was read by its id for one row may come once more by its key, which is that of another row.
        hit = (rows >= 0) & (self._ids[rows] != ids)
        if not hit.any():
            return
        if not hit.all():
            batch, ids, rows = batch.filter(pa.array(hit)), ids[hit], rows[hit]
        self.hits[rows] += 1
        self._ids[rows] = ids
        # Where several leads of the batch are one row's, they counted as one, and the last one's id is there.
        self.hits[rows[self._ids[rows] != ids]] += 1
        self.converted[rows] = _is_true(batch.column("IsConverted"))
        self._take_contacts(batch, rows)
        if self._stage_field is not None:
            self.stages[rows] = self._coded(batch.column(self._stage_field))
        if cells is not None:
            self.same[rows] = cells.same(batch, rows)

    def _take_contacts(self, batch: pa.RecordBatch, rows: Positions) -> None:
        if "ConvertedContactId" not in batch.schema.names:
            # Who may not read contacts does not see that field.
            return
        contacts = batch.column("ConvertedContactId")
        if contacts.null_count < len(contacts):
            there = contacts.is_valid()
            self._contacts.append((rows[bools(there)], contacts.filter(there)))

    def _coded(self, stages: pa.Array) -> npt.NDArray[np.int32]:
        coded = stages.dictionary_encode()
        codes = [self._codes.setdefault(stage, len(self._codes)) for stage in coded.dictionary.to_pylist()]
        # One more code for no stage, which is the index -1.
        table = np.array([*codes, -1], dtype=np.int32)
        found: npt.NDArray[np.int32] = table[pc.fill_null(coded.indices, -1).to_numpy()]
        return found


def _is_true(words: pa.Array) -> Mask:
    return bools(pc.fill_null(pc.equal(pc.ascii_lower(words), "true"), fill_value=False))
