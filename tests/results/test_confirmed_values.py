# ruff: noqa: TID253 - a test is no Dag file
"""What earlier runs confirmed, held against a plain reading of the rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.pipeline import digest_table
from airflow_provider_sfleads.pipeline.column_equality import key_form
from airflow_provider_sfleads.pipeline.digests import Digests, digests, hex_texts
from airflow_provider_sfleads.results.confirmed_values import ConfirmedValues
from airflow_provider_sfleads.results.files import directory_at
from airflow_provider_sfleads.results.lead_states import EXISTS
from airflow_provider_sfleads.results.memory import confirmation_schema
from tests.pipeline.org import lead_id

NOW = datetime(2026, 1, 10, tzinfo=UTC)
KEYS = ("K-1", "k-1", "K-2", "K-3", "K-4", "Ä-5", "ä-5")
ONE, OTHER = hex_texts(digests(pa.array(["one", "other"]))).to_pylist()


@dataclass(frozen=True, kw_only=True)
class Left:
    """What an earlier run left of one row."""

    key: str
    salesforce_id: str | None
    values: str | None
    moment: datetime | None
    is_newer: bool


LEFT = st.builds(
    Left,
    key=st.sampled_from(KEYS),
    salesforce_id=st.sampled_from([None, lead_id(1), lead_id(2)]),
    values=st.sampled_from([None, "", ONE, OTHER, EXISTS + ONE, "of an earlier version"]),
    moment=st.integers(0, 3).map(lambda n: NOW + timedelta(hours=n)),
    is_newer=st.booleans(),
)


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_table, "RUN_ROWS", 4)


def key_digests(keys: pa.Array) -> Digests:
    """Digests of keys without letter case."""
    return digests(key_form(None, keys))


def batch(rows: list[Left]) -> pa.RecordBatch:
    """Rows as they are read."""
    return pa.RecordBatch.from_pylist([vars(row) for row in rows], schema=confirmation_schema())


def known_of(rows: list[Left], key: str, text: str) -> tuple[str, str | None] | None:
    """Why the row of a key is left alone, and its lead: the rule, row by row."""
    mine = [row for row in rows if row.key.lower() == key.lower()]
    newer = [row for row in mine if row.is_newer]
    if newer:
        return Reason.NEWER_RUN, newer[-1].salesforce_id
    confirmed = sorted((row for row in mine if row.values is not None), key=lambda row: row.moment or NOW)
    if not confirmed:
        return None
    last = [row for row in confirmed if row.moment == confirmed[-1].moment]
    said = {row.values for row in last}
    found = next((row.salesforce_id for row in reversed(confirmed) if row.salesforce_id), None)
    if said == {text}:
        return Reason.SAME_VALUES, found
    return (Reason.ALREADY_EXISTS, found) if said == {EXISTS + text} else None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(left=st.lists(st.lists(LEFT, max_size=6), max_size=4), texts=st.lists(st.sampled_from([ONE, OTHER]), min_size=6))
def test_a_row_is_left_alone_where_what_was_confirmed_last_is_what_it_has(
    tmp_path: Path, left: list[list[Left]], texts: list[str]
) -> None:
    """In whichever order runs are read; and nobody knows it where two confirmed other values at one time."""
    keys = [*KEYS, "K-9"][: len(texts)]
    texts = texts[: len(keys)]
    with ConfirmedValues(tmp_path, key_digests, is_whole=True) as memory:
        memory.load(map(batch, left))
        found = memory.find(pa.array(keys), pa.array(texts))
        rows = [row for rows in left for row in rows]
        expected = {place: known_of(rows, key, text) for place, (key, text) in enumerate(zip(keys, texts, strict=True))}
        said = zip(found.places.tolist(), found.reasons.to_pylist(), found.lead_ids.to_pylist(), strict=True)
        assert {place: (reason, lead) for place, reason, lead in said} == {k: v for k, v in expected.items() if v}

        # What was sent is remembered, what was left alone is so already.
        reasons = [expected[place][0] if expected[place] else None for place in range(len(keys))]  # type: ignore[index]
        noted = memory.values_of(pa.array(keys), pa.array(reasons, pa.string())).to_pylist()
        sent = {key.lower(): text for key, text, why in zip(keys, texts, reasons, strict=True) if why is None}
        for key, why, text in zip(keys, reasons, noted, strict=True):
            is_known = why in (Reason.SAME_VALUES, Reason.ALREADY_EXISTS)
            assert text == sent.get(key.lower(), None if is_known else "")


def test_a_try_that_goes_on_remembers_what_the_one_before_it_staged(tmp_path: Path) -> None:
    """Of a row that was staged by neither, nobody knows the values."""
    keys = pa.array([f"K-{n}" for n in range(11)])
    texts = hex_texts(digests(keys))
    staged = directory_at(f"file://{tmp_path / 'staged'}")
    with ConfirmedValues(tmp_path / "first", key_digests, is_whole=True) as first:
        first.find(keys, texts)
        first.keep(staged)
    asked, reasons = pa.array(["k-3", "K-10", "K-11"]), pa.nulls(3, pa.string())
    with ConfirmedValues(tmp_path / "next", key_digests, is_whole=False) as second:
        second.recall(staged)
        assert second.values_of(asked, reasons).to_pylist() == [texts[3].as_py(), texts[10].as_py(), ""]


def test_what_has_no_moment_stands_in_a_table_that_has_one_row_a_key(tmp_path: Path) -> None:
    """Where somebody's own table has two, and they differ, nobody knows."""
    rows: list[dict[str, Any]] = [
        {"key": "K-1", "values": ONE, "is_newer": False},
        {"key": "K-2", "values": ONE, "is_newer": False},
        {"key": "k-2", "values": OTHER, "is_newer": False},
    ]
    with ConfirmedValues(tmp_path, key_digests, is_whole=True) as memory:
        memory.load([pa.RecordBatch.from_pylist(rows, schema=confirmation_schema())])
        found = memory.find(pa.array(["K-1", "K-2"]), pa.array([ONE, ONE]))
        assert found.places.tolist() == [0]
        assert found.reasons.to_pylist() == [Reason.SAME_VALUES]
