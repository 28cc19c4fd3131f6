"""Fingerprints of staged rows."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_sfleads.core.fingerprint import BETWEEN, NOTHING, fingerprint
from airflow_provider_sfleads.core.values import NUMBERS
from airflow_provider_sfleads.pipeline.staged_rows import FIELD
from airflow_provider_sfleads.pipeline.text import shortest
from airflow_provider_sfleads.salesforce.describe import FieldInfo


def fingerprints(batch: pa.RecordBatch, heading: str, fields: Sequence[FieldInfo]) -> list[str]:
    """The fingerprints of staged rows.

    :param heading: what the values of all rows stand for.
    :param fields: Lead fields that a row may write, in a fixed order.
    """
    cells = [batch.column("lead_id"), *(_cells(batch, info) for info in fields)]
    text = pc.binary_join_element_wise(
        pa.scalar(heading), *cells, BETWEEN, null_handling="replace", null_replacement=NOTHING
    )
    return [fingerprint(row) for row in text.to_pylist()]


def _sorted(cell: str) -> str:
    """The choices of a multi-select picklist in one order: whatever the export has them in, they are the same."""
    return ";".join(sorted(cell.split(";")))


def _cells(batch: pa.RecordBatch, info: FieldInfo) -> pa.Array:
    cells = batch.column(FIELD + info.name)
    if info.type in NUMBERS:
        # One number has many spellings, and which one it gets depends on the type that the export has it in.
        return pc.replace_substring_regex(shortest(cells), "^-0$", "0")
    if info.type == "multipicklist":
        coded = cells.dictionary_encode()
        choices = pa.array([_sorted(cell) for cell in coded.dictionary.to_pylist()], pa.string())
        return choices.take(coded.indices)
    return cells
