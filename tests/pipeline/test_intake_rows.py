# ruff: noqa: TID253 - a test is no Dag file
"""Taken in by the column or one by one, rows come to the same: by any export, for new leads."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import BadRow
from airflow_provider_sfleads.exports.record_batches import Chunk, batch_chunks
from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from tests.pipeline.intakes import (
    CLOCKS,
    FIELDS,
    FIGURES,
    IDS,
    KEYS,
    LEAD,
    MOMENTS,
    TRUTHS,
    VALUES,
    WORDS,
    arrays,
    keys,
    one_by_one,
    together,
)  # fmt: skip
from tests.pipeline.org import lead_id
from tests.pipeline.runs import create_request, stage_request

COLUMNS = ("id", "name", "value")
FITTING = {
    "int": FIGURES, "double": FIGURES, "currency": FIGURES, "date": MOMENTS, "datetime": MOMENTS, "boolean": TRUTHS,
    "reference": IDS, "time": CLOCKS,
}  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> PlanSettings:
    """A request that maps a column to any field."""
    external = draw(st.sampled_from([None, *KEYS]))
    constants: dict[str, Any] = {"Company": draw(st.sampled_from(["Acme", "#N/A", 7]))}
    name = draw(st.sampled_from(FIELDS))
    constants |= draw(
        st.sampled_from([{}, {"City": None}, {"DoNotCall": None}, {"DoNotCall": "yes"}, {"Budget__c": 7.5}])
    )
    constants.pop(name, None)
    return create_request(
        external_id_field=external,
        existing=draw(st.sampled_from(["skip", "update"])) if external else "skip",
        # A rule would overwrite the owner, where that is mapped.
        auto_assign="FALSE",
        field_map=FieldMap(
            columns={"name": "LastName", "value": name},
            constants=constants,
            nulls=draw(st.sampled_from(["ignore", "clear"])),
            truncate=draw(st.booleans()),
        ),
    )


@st.composite
def batches(draw: st.DrawFn, request: PlanSettings) -> pa.RecordBatch:
    """Some rows: half of the time with values that fit the field's type, as far as text does."""
    rows = draw(st.integers(0, 6))
    info = LEAD.find(request.field_map.columns["value"])
    assert info is not None
    value = draw(arrays(rows, FITTING.get(info.type, WORDS)) | arrays(rows))
    name = draw(arrays(rows, st.sampled_from(["Ray", " ", "x" * 81, "Ray\r\nMond"])) | arrays(rows))
    return pa.RecordBatch.from_arrays([draw(keys(rows)), name, value], names=list(COLUMNS))


@given(st.data())
@settings(deadline=None, max_examples=250)
def test_columns_of_any_type_for_any_field(data: st.DataObject) -> None:
    """Over chunks that come one after the other, as exports yield them."""
    request = data.draw(requests())
    found = data.draw(st.lists(batches(request), min_size=1, max_size=3))
    chunks = [chunk for batch in found for chunk in batch_chunks([batch], "x")]
    assert together(request, COLUMNS, chunks) == one_by_one(request, COLUMNS, chunks)


@given(st.data())
@settings(deadline=None, max_examples=120)
def test_lists_of_rows(data: st.DataObject) -> None:
    """With columns of one type, of several, and with rows that could not be read."""
    request = data.draw(requests())
    chunks: list[Chunk] = []
    for _ in range(data.draw(st.integers(1, 3))):
        columns = [data.draw(st.sampled_from([VALUES, WORDS, st.integers(0, 9), FIGURES])) for _ in COLUMNS]
        row = st.fixed_dictionaries({name: st.none() | values for name, values in zip(COLUMNS, columns, strict=True)})
        bad = st.builds(BadRow, values=row, code=st.just("MALFORMED_ROW"), message=st.just("x, row 1: no"))
        chunks.append(data.draw(st.lists(st.one_of(row, row, row, bad), max_size=6)))
    assert together(request, COLUMNS, chunks) == one_by_one(request, COLUMNS, chunks)


def test_clocks_that_only_a_rule_tells() -> None:
    """Arrow's zones end in 2037, and its floats of eleven digits have an exponent."""
    request = create_request(
        field_map=FieldMap(columns={"name": "LastName", "value": "Qualified_On__c"}, constants={"Company": "Acme"})
    )
    summers = [2_152_908_303, 2_727_730_730]
    value = pa.array(summers, pa.timestamp("s", tz="Europe/Berlin"))
    batch = pa.record_batch([pa.array([10_000_000_000.5, 7.5]), pa.array(["Ray", "Roy"]), value], names=list(COLUMNS))
    assert together(request, COLUMNS, [batch]) == one_by_one(request, COLUMNS, [batch])


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_times_of_day(data: st.DataObject) -> None:
    """As text, as a time, as the span that some drivers give: for a time field, a text field, and as a key."""
    request = create_request(
        field_map=FieldMap(
            columns={"name": "LastName", "value": data.draw(st.sampled_from(["Call_At__c", "Description"]))},
            constants={"Company": "Acme"},
        )
    )
    rows = data.draw(st.integers(0, 5))
    spans = st.integers(-(10**6), 87 * 10**9)
    kinds = [(pa.string(), CLOCKS), (pa.duration("us"), spans), (pa.time64("us"), st.integers(0, 86_399_999_999))]

    def column() -> pa.Array:
        kind, usual = data.draw(st.sampled_from(kinds))
        return pa.array(data.draw(st.lists(st.none() | usual, min_size=rows, max_size=rows)), kind)

    names = pa.array(["Ray"] * rows, pa.string())
    batch = pa.RecordBatch.from_arrays([column(), names, column()], names=list(COLUMNS))
    assert together(request, COLUMNS, [batch]) == one_by_one(request, COLUMNS, [batch])


def test_numbers_that_are_spelled_otherwise() -> None:
    """Arrow writes a float of zero as 0 and Python as 0.0: one value, and so one fingerprint."""
    request = create_request(
        field_map=FieldMap(columns={"name": "LastName", "value": "AnnualRevenue"}, constants={"Company": "Acme"})
    )
    for value in (pa.array([0.0, -0.0, 10.5, 100.0]), pa.array(["0.00", "-0", "10.50", "100"])):
        batch = pa.record_batch([pa.array(["1", "2", "3", "4"]), pa.array(["Ray"] * 4), value], names=list(COLUMNS))
        assert together(request, COLUMNS, [batch]) == one_by_one(request, COLUMNS, [batch])


def test_dictionaries() -> None:
    """A dictionary's values are its rows' values."""
    request = create_request(field_map=FieldMap(columns={"name": "LastName"}, constants={"Company": "Acme"}))
    names = pa.array(["Ray", None, " ", "Ray"]).dictionary_encode()
    batch = pa.record_batch([pa.array(["7", "8", "9", "7"]).dictionary_encode(), names], names=["id", "name"])
    assert together(request, ("id", "name"), [batch]) == one_by_one(request, ("id", "name"), [batch])


def test_half_a_character_beside_lead_ids() -> None:
    """It is no Lead id, and no text that can be sent."""
    request = stage_request(lead_id="value", field_map=FieldMap(columns={"name": "City"}))
    rows = [
        {"id": "a", "name": "Rome", "value": "\ud800", "score": 90},
        {"id": 1, "name": "Rome\ud800", "value": lead_id(1), "score": 90},
        {"id": 2, "name": "Rome", "value": lead_id(1), "score": 90},
    ]
    columns = (*COLUMNS, "score")
    assert together(request, columns, [rows]) == one_by_one(request, columns, [rows])
