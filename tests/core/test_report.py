"""The account."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.core.report import SyncReport, Tally, too_many_rejects
from tests.core.reports import VALUES, reports

STATES = (
    "filtered", "duplicate_keys", "unchanged", "created", "updated", "rejected", "not_sent", "would_create",
    "would_update",
)  # fmt: skip


@given(st.lists(st.sampled_from(Action)))
def test_the_sum_is_what_was_read(actions: list[Action]) -> None:
    """Whatever the outcomes, the states add up to the rows read."""
    tally = Tally()
    for action in actions:
        tally.add(Outcome(key="k", action=action))
    counts = tally.counts()
    assert set(counts) == {"read", *STATES}
    assert counts["read"] == sum(counts[state] for state in STATES) == len(actions)


def test_reasons() -> None:
    """Rejects are counted by code, the most frequent first and 20 at most; unchanged rows by reason."""
    tally = Tally()
    for number in range(25):
        for _ in range(number + 1):
            tally.add(Outcome(key="k", action=Action.REJECTED, error_code=f"C{number}"))
    tally.add(Outcome(key="k", action=Action.UNCHANGED, reason="same_values"))
    reasons = tally.reject_reasons()
    assert next(iter(reasons.items())) == ("C24", 25)
    assert len(reasons) == 20
    assert tally.unchanged == {"same_values": 1}


def test_a_reject_without_code() -> None:
    """A reject whose code nobody knows is still counted."""
    tally = Tally()
    tally.add(Outcome(key="k", action=Action.REJECTED))
    assert tally.reject_reasons() == {"UNKNOWN_EXCEPTION": 1}


def test_sent_counts_what_an_api_carried() -> None:
    """Rows that cost no request are not counted as sent."""
    tally = Tally()
    tally.add(Outcome(key="a", action=Action.CREATED, api="collections"))
    tally.add(Outcome(key="b", action=Action.FILTERED))
    assert tally.sent == 1


@pytest.mark.parametrize(
    ("rejected", "read", "limit", "too_many"),
    [
        (0, 0, 0, False),
        (0, 0, 0.0, False),
        (1, 10, 0, True),
        (1, 10, 1, False),
        (2, 10, 1, True),
        (1, 10, 0.0, True),
        (1, 10, 0.1, False),
        (2, 10, 0.1, True),
        (1, 1, 0.99, True),
    ],
)
def test_too_many_rejects(rejected: int, read: int, limit: float, too_many: bool) -> None:  # noqa: FBT001
    """A whole number is a count, a float a share of what was read; the limit itself is borne."""
    assert too_many_rejects(rejected, read, limit) is too_many


@pytest.mark.parametrize("share", [0.29, 0.57, 0.58])
def test_the_share_itself_is_borne(share: float) -> None:
    """Exactly the share that max_rejects names is not too many."""
    assert not too_many_rejects(round(share * 100), 100, share)


def test_a_report_is_json() -> None:
    """A report goes through JSON unchanged, with every name of the contract."""
    counts = Tally().counts()
    report = SyncReport(
        **counts, api_calls=1, token_requests=1, api="none", api_reason="", job_ids=("750",), results_path="r",
        rejects_path="x", dry_run=False, started_at="", finished_at="", host="h", operation="create",
        interval_start=None, interval_end=None, attempts=1, reject_reasons={"A": 1}, unchanged_reasons={},
        api_usage={"used": 1, "max": 2}, executions=(), not_visible=(),
    )  # fmt: skip
    shown = report.as_json()
    assert json.loads(json.dumps(shown)) == shown
    assert set(shown) == {
        "read", *STATES, "api_calls", "token_requests", "api", "job_ids", "results_path", "rejects_path", "dry_run",
        "started_at", "finished_at", "api_reason", "host", "operation", "interval_start", "interval_end", "attempts",
        "reject_reasons", "unchanged_reasons", "api_usage", "executions",
    }  # fmt: skip
    assert replace(report, not_visible=("A",)).as_json() == {**shown, "not_visible": ["A"]}
    assert SyncReport.from_json({**shown, "not_visible": ["A"]}).not_visible == ("A",)


@given(reports)
def test_a_report_comes_back_from_json(told: SyncReport) -> None:
    """What was pushed or written is what is read."""
    assert SyncReport.from_json(json.loads(json.dumps(told.as_json()))) == told


def test_what_a_later_version_added_is_left_out() -> None:
    """Reports of several versions lie in one folder."""
    assert SyncReport.from_json(VALUES | {"moons": 2}) == SyncReport.from_json(VALUES)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([], "a report is an object, not list"),
        ({}, "read is missing"),
        (VALUES | {"rejected": True}, "rejected is no int"),
        (VALUES | {"read": -1}, "read is no int"),
        (VALUES | {"reject_reasons": {"A": "1"}}, "reject_reasons is no Mapping"),
        (VALUES | {"job_ids": "750"}, "job_ids is no tuple"),
    ],
)
def test_what_is_no_report_is_told_from_one(values: object, problem: str) -> None:
    """And why."""
    with pytest.raises(ValueError, match=problem):
        SyncReport.from_json(values)


def test_how_long_it_took() -> None:
    """In seconds; nothing is made up where the times are none."""
    assert SyncReport.from_json(VALUES).seconds == 1.5
    assert SyncReport.from_json(VALUES | {"finished_at": "soon"}).seconds is None
    assert SyncReport.from_json(VALUES | {"finished_at": "2026-11-18T02:00:00"}).seconds is None
