"""Fingerprints of rows: the same for one by itself and for it among staged ones."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.columnar.cells import cell_of
from airflow_provider_sfleads.columnar.staged import FIELD
from airflow_provider_sfleads.core.fingerprint import BETWEEN, NOTHING, fingerprint, joined
from airflow_provider_sfleads.core.mapping import Record


def fingerprint_of(lead_id: str | None, record: Record, heading: str, fields: Sequence[str]) -> str:
    """The fingerprint of a row.

    :param lead_id: its Lead id, where the export has one.
    :param record: its Lead fields.
    :param heading: what the values of all rows stand for.
    :param fields: Lead fields that a row may write, in a fixed order.
    """
    cells = [cell_of(record[name]) if name in record else None for name in fields]
    return fingerprint(joined([heading, lead_id, *cells]))


def fingerprints(batch: pa.RecordBatch, heading: str, fields: Sequence[str]) -> list[str]:
    """The fingerprints of staged rows; see :func:`fingerprint_of`."""
    cells = [batch.column("lead_id"), *(batch.column(FIELD + name) for name in fields)]
    text = pc.binary_join_element_wise(
        pa.scalar(heading), *cells, BETWEEN, null_handling="replace", null_replacement=NOTHING
    )
    return [fingerprint(row) for row in text.to_pylist()]
