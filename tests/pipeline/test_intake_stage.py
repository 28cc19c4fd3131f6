# ruff: noqa: TID253 - a test is no Dag file
"""Taken in by the column or one by one, rows come to the same: who is moved to a stage."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.exports.record_batches import Chunk, batch_chunks
from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from tests.pipeline.intakes import FIGURES, IDS, KEYS, VALUES, WORDS, arrays, keys, one_by_one, together
from tests.pipeline.org import lead_id
from tests.pipeline.runs import stage_request

COLUMNS = ("id", "lead", "score", "stage", "mail")
THRESHOLDS = st.sampled_from(
    ["80", "0.1", "80.1", "80.10000000000000001", "0.1000000000000000055511151231257827", "-0.0", "1E+400", "-1E-400",
     "7", "18446744073709551615", "9007199254740993", "1e16", "12.3456789012345678901234567"]
).map(Decimal)  # fmt: skip
STAGES = st.sampled_from(["New", " New\n", "new", "MQL", "", " ", "7", "true", "a\nb", "a\r\nb", "\0", "2026-11-24"])


@st.composite
def requests(draw: st.DrawFn) -> PlanSettings:
    """A request with filters of every kind, that finds leads in any way."""
    external = draw(st.sampled_from([None, *KEYS, "Email", "Id"]))
    by_email = draw(st.booleans())
    lead_id = draw(st.sampled_from(["lead", None])) if external else "lead"
    scored, known = draw(st.booleans()), draw(st.booleans())
    rule = StageRule(
        stage="MQL",
        score="score" if scored else None,
        threshold=draw(THRESHOLDS) if scored else None,
        current_stage="stage" if known else None,
        from_stages=draw(st.frozensets(st.none() | STAGES, max_size=3)) if known else None,
        ladder=("New", "MQL"),
    )
    columns = {"mail": "Email"} if by_email else draw(st.sampled_from([{}, {"mail": "City", "score": "Lead_Score__c"}]))
    return stage_request(
        external_id_field=external,
        lead_id=lead_id,
        rule=rule,
        match_email=by_email,
        field_map=FieldMap(columns=columns, nulls=draw(st.sampled_from(["ignore", "clear"]))),
    )


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    """Some rows, most of them with text for ids and stages, and numbers for scores."""
    rows = draw(st.integers(0, 6))
    texts = {"lead": IDS, "score": FIGURES, "stage": STAGES, "mail": WORDS}
    some = [draw(st.one_of(arrays(rows, values), arrays(rows, values), arrays(rows))) for values in texts.values()]
    return pa.RecordBatch.from_arrays([draw(keys(rows)), *some], names=list(COLUMNS))


@given(requests(), st.lists(batches(), min_size=1, max_size=3))
@settings(deadline=None, max_examples=150)
def test_columns_of_any_type(request: PlanSettings, found: list[pa.RecordBatch]) -> None:
    """Keys and ids that came before, scores, stages, and ids that are none."""
    chunks = [chunk for batch in found for chunk in batch_chunks([batch], "x")]
    assert together(request, COLUMNS, chunks) == one_by_one(request, COLUMNS, chunks)


def test_no_stage_in_a_column_of_bytes_is_no_stage() -> None:
    """A type that no stage comes in does not matter where nothing came."""
    rule = StageRule(stage="MQL", current_stage="stage", from_stages=frozenset({None}), ladder=("New", "MQL"))
    request = stage_request(lead_id="lead", rule=rule, field_map=FieldMap(columns={}))
    texts = [pa.array(values, pa.string()) for values in (["A1"], [None], [None])]
    batch = pa.RecordBatch.from_arrays(
        [*texts, pa.array([None], pa.binary()), pa.array([None], pa.string())], names=list(COLUMNS)
    )
    chunks = list(batch_chunks([batch], "x"))
    assert together(request, COLUMNS, chunks) == one_by_one(request, COLUMNS, chunks)


@given(requests(), st.data())
@settings(deadline=None, max_examples=80)
def test_lists_of_rows(request: PlanSettings, data: st.DataObject) -> None:
    """With values of any type that a driver may yield."""
    texts = {"id": WORDS, "lead": IDS, "score": FIGURES, "stage": STAGES, "mail": WORDS}
    chunks: list[Chunk] = []
    for _ in range(data.draw(st.integers(1, 2))):
        row = {name: data.draw(st.sampled_from([values, values, VALUES])) for name, values in texts.items()}
        rows = st.fixed_dictionaries({name: st.none() | values for name, values in row.items()})
        chunks.append(data.draw(st.lists(rows, max_size=6)))
    assert together(request, COLUMNS, chunks) == one_by_one(request, COLUMNS, chunks)


def test_the_lead_id_of_a_repeated_key_does_not_count() -> None:
    """Nobody moved that lead yet."""
    columns = {"id": ["a", "A", "b"], "lead": [lead_id(1), lead_id(2), lead_id(2)], "score": [90, 90, 90]}
    request = stage_request(lead_id="lead")
    fates = together(request, tuple(columns), [pa.record_batch(columns)])
    assert fates == one_by_one(request, tuple(columns), [pa.record_batch(columns)])
    assert len(fates.candidates) == 2


def test_a_threshold_between_two_floats() -> None:
    """A score counts as the number that its float is written as."""
    columns = {"id": ["a", "b"], "lead": [lead_id(1), lead_id(2)], "score": [80.1, 80.0]}
    for threshold, moved in (("80.0999999999999999999", 1), ("80.1", 0), ("80.1000000000000000001", 0)):
        request = stage_request(
            rule=StageRule(stage="MQL", score="score", threshold=Decimal(threshold)), lead_id="lead"
        )
        fates = together(request, tuple(columns), [pa.record_batch(columns)])
        assert fates == one_by_one(request, tuple(columns), [pa.record_batch(columns)])
        assert len(fates.candidates) == moved
