"""Which row of a load a line of a job's results speaks of: results come in any order."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.pipeline.digests import Digests, combined, digests
from airflow_provider_sfleads.pipeline.ids import id_bytes, id_strings
from airflow_provider_sfleads.pipeline.same import key_form
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from airflow_provider_sfleads.salesforce.ingest_jobs import EMPTIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """By which of the uploaded columns results and rows are brought together.

    :param columns: the columns.
    :param external: the external-ID field, where one column holds the key: it compares as keys do.
    """

    columns: tuple[str, ...]
    external: FieldInfo | None = None

    @property
    def by_id(self) -> bool:
        """Whether the rows are told apart by their leads' ids, which they know themselves."""
        return self.columns == ("Id",)

    @property
    def names_one(self) -> bool:
        """Whether no two rows of a load are alike; where they are, either may stand for the other."""
        return self.external is not None or self.by_id

    def of_load(self, batch: pa.RecordBatch) -> Digests:
        """One digest for each row of a load."""
        if self.by_id:
            return digests(batch.column("salesforce_id"))
        if self.external is not None:
            return digests(batch.column("match"))
        return combined([digests(_settable(batch.column(FIELD + name), CLEAR)) for name in self.columns])

    def of_results(self, columns: pa.RecordBatch) -> Digests:
        """One digest for each line of results.

        :param columns: :attr:`columns`, in their order.
        """
        if self.by_id:
            return digests(id_strings(id_bytes(columns.column(0))))
        if self.external is not None:
            return digests(key_form(self.external, columns.column(0)))
        return combined([digests(_settable(column, EMPTIED)) for column in columns.columns[: len(self.columns)]])


def match_by(kind: PageKind, external: FieldInfo | None, fields: tuple[str, ...]) -> Match:
    """How to tell the rows of a load apart.

    :param kind: what they are sent as.
    :param external: external-ID field that holds the key.
    :param fields: the Lead fields that are sent.
    """
    if kind.operation == "update":
        return Match(columns=("Id",))
    if external is not None:
        return Match(columns=(external.name,), external=external)
    return Match(columns=fields)


def _settable(cells: pa.Array, emptied: str) -> pa.Array:
    """Cells as their row was meant: a field that is emptied, and one that is left alone, are blank in a new lead."""
    is_emptied = pc.fill_null(pc.equal(cells, emptied), fill_value=False)
    return pc.if_else(is_emptied, "", cells) if pc.any(is_emptied).as_py() else cells
