# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.staged_rows import (
    CLEAR,
    Sending,
    candidates,
    field_values,
    rebuild,
    staged_schema,
    with_place,
)
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo

LEAD = SObjectInfo(
    name="Lead",
    fields={
        info.name.lower(): info
        for info in (
            FieldInfo(name="External_Id__c", type="string", length=36),
            FieldInfo(name="LastName", type="string", length=80),
            FieldInfo(name="Score__c", type="double", precision=5, scale=1),
            FieldInfo(name="Seen__c", type="datetime"),
            FieldInfo(name="HasOptedOutOfEmail", type="boolean"),
            FieldInfo(name="Stage__c", type="picklist", restricted_picklist=True),
        )
    },
)


def staged() -> pa.RecordBatch:
    """Two rows."""
    names = ("External_Id__c", "LastName", "Score__c", "Seen__c", "HasOptedOutOfEmail", "Stage__c")
    schema = staged_schema(names, pa.schema([("id", pa.int64()), ("seen", pa.timestamp("ns"))]))
    moment = np.array(["2026-01-02T03:04:05.000006007"] * 2, dtype="datetime64[ns]")
    columns = [
        ["7", "8"], [None, "00Q5g00000AbCdEEAV"], ["7", None], [False, False],
        ["7", "8"], ["Ray\nMond", CLEAR], ["7.50", None], ["2026-01-02T03:04:05.000Z", None], ["false", "true"],
        ["MQL", "MQL"], [7, 8], moment,
    ]  # fmt: skip
    return pa.record_batch(
        [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)], schema=schema
    )


def test_candidates_are_what_was_staged() -> None:
    """Values have their types again, null is absent, and what is to be emptied is None."""
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 6)  # noqa: DTZ001 - the export's own has no zone
    assert candidates(staged(), LEAD) == [
        Candidate(
            key="7",
            row={"id": 7, "seen": moment},
            record={
                "External_Id__c": "7", "LastName": "Ray\nMond", "Score__c": Decimal("7.50"),
                "Seen__c": "2026-01-02T03:04:05.000Z", "HasOptedOutOfEmail": False, "Stage__c": "MQL",
            },
            external_id="7",
        ),
        Candidate(
            key="8",
            row={"id": 8, "seen": moment},
            record={"External_Id__c": "8", "LastName": None, "HasOptedOutOfEmail": True, "Stage__c": "MQL"},
            lead_id="00Q5g00000AbCdEEAV",
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("operation", ["insert", "update"])
def test_items_are_sent_as_the_load_is(operation: str) -> None:
    """By id in an update; only the rows asked for, in their order."""
    columns = (["a", "b"], [None, "New"], ["MQL", "MQL"])
    batch = with_place(staged(), [pa.array(values, pa.string()) for values in columns])
    sending = Sending(kind=PageKind(operation=operation), expected=Action.UPDATED)  # type: ignore[arg-type]
    items = rebuild(batch, [1, 0], LEAD, sending)
    assert [item.candidate for item in items] == candidates(staged(), LEAD)[::-1]
    assert [(item.salesforce_id, item.old_stage, item.new_stage) for item in items] == [
        ("b", "New", "MQL"), ("a", None, "MQL"),
    ]  # fmt: skip
    assert [item.record.get("id") for item in items] == (["b", "a"] if operation == "update" else [None, None])
    assert {(item.kind, item.expected) for item in items} == {(sending.kind, Action.UPDATED)}


CELLS: dict[str, list[tuple[str | None, object]]] = {
    "External_Id__c": [("7", "7"), (None, None)],
    "LastName": [("Ray", "Ray"), ("", ""), (CLEAR, None), ("true", "true"), ("7", "7"), (None, None)],
    "Score__c": [("7", Decimal(7)), ("-0.50", Decimal("-0.50")), ("1000", Decimal(1000)), (CLEAR, None), (None, None)],
    "Seen__c": [("2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.000Z"), (CLEAR, None), (None, None)],
    "HasOptedOutOfEmail": [("true", True), ("false", False), (None, None)],
}


@given(
    rows=st.lists(st.tuples(*(st.sampled_from(cells) for cells in CELLS.values())), max_size=12), by_id=st.booleans()
)
def test_records_hold_what_cells_stand_for(rows: list[tuple[tuple[str | None, object], ...]], *, by_id: bool) -> None:
    """A value of the field's type, null for a field to be emptied, and nothing of a field that is left alone."""
    schema = staged_schema(list(CELLS), pa.schema([]), placed=True)
    head = {"key": "k", "tail": False, "salesforce_id": "00Q5g00000AbCdEEAV"}
    lines = [head | {f"f:{name}": cell for name, (cell, _) in zip(CELLS, row, strict=True)} for row in rows]
    # As a slice of a longer batch, which pages are.
    batch = pa.RecordBatch.from_pylist([head, *lines, head], schema=schema).slice(1, len(rows))
    expected = [
        ({"id": "00Q5g00000AbCdEEAV"} if by_id else {})
        | {name: value for name, (cell, value) in zip(CELLS, row, strict=True) if cell is not None}
        for row in rows
    ]
    found = field_values(batch, LEAD, by_id=by_id)
    assert found == expected
    assert [[type(value) for value in record.values()] for record in found] == [
        [type(value) for value in record.values()] for record in expected
    ]
    assert [list(record) for record in found] == [list(record) for record in expected]
