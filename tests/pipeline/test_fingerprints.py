# ruff: noqa: TID253 - a test is no Dag file
"""Fingerprints are equal where the values are the same in Salesforce."""

from __future__ import annotations

import pyarrow as pa
import pytest

from airflow_provider_sfleads.core.values import convert
from airflow_provider_sfleads.pipeline.column_equality import fingerprints
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD
from airflow_provider_sfleads.salesforce.describe import FieldInfo


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        ("multipicklist", "Product;Pricing", "pricing;PRODUCT", True),
        ("multipicklist", "Product;Pricing", "Product", False),
        ("picklist", "web", "Web", True),
        ("picklist", "Web", "Fair", False),
        ("string", "web", "Web", False),
    ],
)
def test_what_a_picklist_takes_for_one_has_one_fingerprint(kind: str, one: str, other: str, same: bool) -> None:  # noqa: FBT001
    """In any letter case, and a multi-select's choices in any order; nothing and an emptied field are two things."""
    info = FieldInfo(name="F", type=kind, picklist_values=("Web", "Product", "Pricing"))
    cells = [str(convert(info, value)) for value in (one, other)]
    batch = pa.RecordBatch.from_arrays(
        [pa.nulls(4, pa.string()), pa.array([*cells, None, CLEAR], pa.string())], names=["lead_id", FIELD + "F"]
    )
    first, second, nothing, emptied = fingerprints(batch, "h", [info])

    assert (first == second) is same
    assert len({first, nothing, emptied}) == 3
