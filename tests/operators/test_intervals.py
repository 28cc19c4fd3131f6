"""Which stretch of time a run reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from jinja2 import Environment

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.intervals import INTERVAL_MACROS, Interval, interval_of, require_interval

FIRST, LAST = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))
RUN = {"data_interval_start": FIRST, "data_interval_end": LAST}


def params(start: object = None, end: object = None) -> dict[str, Any]:
    """A run with Params and an interval of its own."""
    return {**RUN, "params": {"from": start, "to": end}}


def test_the_runs_own() -> None:
    """Without Params, the Dag run's interval."""
    for context in (RUN, params(), params("", ""), RUN | {"params": None}):
        assert interval_of(context) == Interval(start=FIRST, end=LAST)


@pytest.mark.parametrize(
    ("start", "end", "first", "last"),
    [
        ("2025-03-01", "2025-03-02", datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)),
        ("2025-03-01T12:00", "2025-03-02", datetime(2025, 3, 1, 12, tzinfo=UTC), datetime(2025, 3, 2, tzinfo=UTC)),
        ("2025-03-01T00:00:00+02:00", "2025-03-01T00:00:00Z", datetime(2025, 3, 1, tzinfo=EAST), None),
        (datetime(2025, 3, 1, tzinfo=EAST), "2025-03-02", datetime(2025, 3, 1, tzinfo=EAST), None),
    ],
)
def test_params_go_first(start: object, end: object, first: datetime, last: datetime | None) -> None:
    """``from`` and ``to`` override the run's interval; what has no zone is UTC."""
    found = interval_of(params(start, end))
    assert found is not None
    assert found.start == first
    assert last is None or found.end == last
    assert found.start.tzinfo is not None
    assert found.end.tzinfo is not None


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2025-03-01", None, "go together"),
        (None, "2025-03-01", "go together"),
        ("2025-03-02", "2025-03-01", "must lie before"),
        ("2025-03-01", "2025-03-01", "must lie before"),
        ("2025-03-01T02:00:00+02:00", "2025-03-01", "must lie before"),
        ("yesterday", "2025-03-01", "'from' is no date"),
        ("1740787200000", "2025-03-01", "'from' is no date"),
        ("2025-03-01", 7, "'to' is no date"),
    ],
)
def test_params_that_make_no_interval(start: object, end: object, words: str) -> None:
    """Params that do not fit are an error, never the run's own interval instead."""
    with pytest.raises(ParameterError, match=words):
        interval_of(params(start, end))


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"params": {}},
        {"data_interval_start": None, "data_interval_end": None},
        {"data_interval_start": FIRST, "data_interval_end": FIRST},
        {"data_interval_start": LAST, "data_interval_end": FIRST},
        {"data_interval_start": FIRST},
    ],
)
def test_runs_without_an_interval(context: dict[str, Any]) -> None:
    """A run without interval, or with one of zero width, has none, and a Dag that needs one is told what to do."""
    assert interval_of(context) is None
    with pytest.raises(ParameterError, match="CronDataIntervalTimetable"):
        require_interval(context)


def test_macros() -> None:
    """Templates get both ends in ISO 8601, with zone."""
    text = "{{ interval_start() }} {{ interval_end() }}"
    template = Environment(autoescape=True).from_string(text, globals=dict(INTERVAL_MACROS))
    assert template.render(**RUN) == "2026-01-01T00:00:00+00:00 2026-01-02T00:00:00+00:00"
    assert template.render(**params("2025-03-01", "2025-03-02")).startswith("2025-03-01T00:00:00+00:00 ")


def test_macros_without_an_interval() -> None:
    """A template that needs an interval fails the run at once, and no retry follows."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    template = Environment(autoescape=True).from_string("{{ interval_start() }}", globals=dict(INTERVAL_MACROS))
    with pytest.raises(AirflowFailException, match="no stretch of time"):
        template.render()
