"""What people are shown of several executions of one task instance."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.report import ADDED_UP, COUNTS, SyncReport, again, entry_of, gathered, in_all, shown
from tests.core.reports import VALUES, report

counts = st.fixed_dictionaries(dict.fromkeys((*COUNTS, "api_calls"), st.integers(min_value=0, max_value=10**9)))
nights = st.lists(st.tuples(st.booleans(), counts), min_size=1, max_size=6)


def told(night: list[tuple[bool, dict[str, int]]]) -> list[tuple[str, SyncReport]]:
    """Reports of executions one after another, each of which tells of those before it; newest first."""
    found: list[tuple[str, SyncReport]] = []
    for n, (dry_run, numbers) in enumerate(night):
        name = f"2026112{n}T020000.000000Z{'-dry-run' if dry_run else ''}"
        one = report(**numbers, dry_run=dry_run)
        before = found[0][1].executions if found else ()
        found.insert(0, (name, replace(one, executions=(*before, entry_of(name, one, cleared=n > 0)))))
    return found


@given(nights, st.data())
def test_what_was_done_adds_up_and_how_rows_stand_is_the_newest(
    night: list[tuple[bool, dict[str, int]]], data: st.DataObject
) -> None:
    """Whichever reports are there beside the newest one; dry runs add nothing."""
    found = told(night)
    newest, others = found[0], data.draw(st.lists(st.sampled_from(found), unique_by=lambda each: each[0]))
    together = replace(newest[1], executions=gathered([newest, *others]))
    assert shown(together) == shown(newest[1])

    live = [numbers for dry_run, numbers in night if not dry_run]
    if newest[1].dry_run:
        assert (shown(together), again(together)) == (night[-1][1], "")
    else:
        sums = {name: sum(numbers[name] for numbers in live) for name in ADDED_UP}
        assert shown(together) == live[-1] | sums
        assert again(together).startswith("cleared") is (len(live) > 1)


def test_an_older_report_tells_of_itself() -> None:
    """One that was written before reports told of others."""
    assert (shown(report(created=3))["created"], again(report()), in_all(report())) == (3, "", "")


@pytest.mark.parametrize(
    ("begun", "words"),
    [
        ([], ""),
        ([True], "cleared once"),
        ([False], "tried again once"),
        ([True, True, False], "cleared twice, tried again once"),
        ([True] * 3, "cleared 3 times"),
    ],
)
def test_how_often_is_said(begun: list[bool], words: str) -> None:
    """By what each execution began with."""
    names = [f"2026112{n}T020000.000000Z" for n in range(len(begun) + 1)]
    entries = [entry_of(name, report(created=4), cleared=c) for name, c in zip(names, [False, *begun], strict=True)]
    whole = report(executions=entries)
    assert again(whole) == words
    assert in_all(whole) == (words and f"{words}: {4 * len(names):,} created and {702 * len(names):,} updated in all")


@pytest.mark.parametrize(
    "executions",
    [{}, "x", [1], [{}], [{"execution": "x", "dry_run": False}], [{**VALUES, "execution": 7}], None],
    ids=json.dumps,
)
def test_executions_that_somebody_edited_are_no_report(executions: Any) -> None:  # noqa: ANN401
    """No page may stumble over them."""
    with pytest.raises(ValueError, match="executions is no"):
        report(executions=executions)
