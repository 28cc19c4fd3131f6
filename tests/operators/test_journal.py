"""The journal tells a retry, which goes on, from a re-run, which begins anew."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sfleads.operators.journal import Execution, Journal

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 4, tzinfo=UTC)


class Memory:
    """A task state store."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str) -> object:
        """Read a value."""
        return self.values.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value."""
        self.values[key] = value


def kept(**changes: Any) -> Memory:
    """A store that holds a live execution with some values changed."""
    store = Memory()
    execution = Execution(name="one", dry_run=False, started_at=NOW.isoformat(), api_calls=3, token_requests=1)
    store.values["salesforce_leads"] = asdict(execution) | changes
    return store


def test_a_first_try() -> None:
    """A first try begins an execution that is named after the moment; nothing is kept until it is said to be."""
    store = Memory()
    execution = Journal(store).next(NOW, dry_run=False)
    name = "20260102T030405.000006Z"
    assert execution == Execution(name=name, dry_run=False, started_at=NOW.isoformat(), sends=False)
    assert (execution.tries, execution.open) == (1, True)
    assert store.values == {}


def test_a_retry_goes_on() -> None:
    """An execution that is open is gone on with, and its tries and calls are counted on."""
    journal = Journal(Memory())
    first = journal.next(NOW, dry_run=False)
    journal.keep(replace(first, api_calls=7, token_requests=1))
    second = journal.next(LATER, dry_run=False)
    assert second == replace(first, tries=2, api_calls=7, token_requests=1)
    journal.keep(second)
    assert journal.next(LATER, dry_run=False).tries == 3


def test_a_rerun_begins_anew() -> None:
    """After an execution that accounted for every row the next is another one."""
    journal = Journal(Memory())
    first = journal.next(NOW, dry_run=False)
    journal.keep(replace(first, open=False))
    second = journal.next(LATER, dry_run=False)
    assert second.name != first.name
    assert (second.tries, second.api_calls, second.started_at) == (1, 0, LATER.isoformat())


def test_a_rerun_knows_of_those_before_it() -> None:
    """How many there were, and when the first began: their records may be gone by then."""
    journal = Journal(Memory())
    journal.keep(replace(journal.next(NOW, dry_run=False), open=False))
    journal.keep(replace(journal.next(LATER, dry_run=False), open=False))
    third = journal.next(datetime(2026, 1, 2, 5, tzinfo=UTC), dry_run=False)
    assert (third.earlier, third.first_at) == (2, NOW.isoformat())
    journal.keep(third)
    assert journal.next(LATER, dry_run=False) == replace(third, tries=2)


def test_a_dry_execution_is_named_so() -> None:
    """Live ones do not take it for one of theirs."""
    assert Journal(Memory()).next(NOW, dry_run=True).name == "20260102T030405.000006Z-dry-run"


def test_dry_and_live_are_kept_apart() -> None:
    """A live try never goes on with a dry one, nor the other way round, and neither closes the other."""
    journal = Journal(Memory())
    live = journal.next(NOW, dry_run=False)
    journal.keep(live)
    dry = journal.next(LATER, dry_run=True)
    assert (dry.dry_run, dry.tries) == (True, 1)
    assert dry.name != live.name
    journal.keep(replace(dry, open=False))
    assert journal.next(LATER, dry_run=False) == replace(live, tries=2)


@pytest.mark.parametrize(
    "changes",
    [
        {"more": 1},
        {"name": ""},
        {"name": None},
        {"name": 7},
        {"started_at": "yesterday"},
        {"started_at": None},
        {"tries": "2"},
        {"tries": None},
        {"tries": True},
        {"api_calls": 1.5},
        {"token_requests": "x"},
        {"earlier": -1},
        {"first_at": "once"},
        {"asks_from": 7},
        {"asks_until": "2026-01-02T03:04:05"},
        {"sends": 1},
        {"read": -1},
        {"next_part": "3"},
        {"parts": {"one": [1]}},
    ],
    ids=repr,
)
def test_a_value_that_was_edited(changes: dict[str, Any]) -> None:
    """What cannot be read is begun anew, not a crash."""
    execution = Journal(kept(**changes)).next(LATER, dry_run=False)
    assert (execution.tries, execution.started_at) == (1, LATER.isoformat())


@pytest.mark.parametrize("value", [None, "open", 7, [], [{}], {}, {"name": "one"}], ids=repr)
def test_a_value_of_another_kind(value: object) -> None:
    """What is no execution at all is begun anew."""
    store = Memory()
    store.values["salesforce_leads"] = value
    assert Journal(store).next(LATER, dry_run=False).tries == 1


# Bugs that are reported: each mark goes when its bug does.


@pytest.mark.parametrize(
    "changes",
    [
        {"tries": 0},
        {"tries": -1},
        {"started_at": "2026-01-02T03:04:05"},
        {"dry_run": True},
        {"dry_run": "False"},
        {"open": "False"},
    ],
    ids=repr,
)
def test_a_value_that_was_edited_into_nonsense(changes: dict[str, Any]) -> None:
    """An edit does not make a retry forget its leads, compare a time without zone, or go by the other journal."""
    execution = Journal(kept(**changes)).next(LATER, dry_run=False)
    assert (execution.tries, execution.dry_run, execution.started_at) == (1, False, LATER.isoformat())
