"""What earlier tries and executions did is known to the next, row by row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.folder import ResultsFolder

LEAD = "00Q5g00000AbCdEEAV"
SENT = UnansweredSend.at(datetime(2026, 11, 24, 12, tzinfo=UTC), "005000000000001AAA")
Make = Callable[[str], ResultsFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes the folder of an execution of one task."""
    return lambda execution: ResultsFolder(tmp_path, "dag", "run", "task", -1, execution)


@contextmanager
def rows(tmp_path: Path, compare: Callable[[str], str] = str.lower) -> Iterator[EarlierRows]:
    """An empty memory."""
    with EarlierRows(tmp_path, compare) as found:
        yield found


def record(folder: ResultsFolder, outcomes: Iterable[Outcome], announced: Iterable[str] = ()) -> ResultsFolder:
    """Record what a try did."""
    keys = list(announced)
    if keys:
        Announcements(folder, str.lower).announce(((key, "") for key in keys), SENT)
    with folder.writer(columns=("id",), resume=True) as writer:
        for outcome in outcomes:
            writer.write(outcome, {"id": outcome.key} if outcome.action is Action.REJECTED else None)
    return folder


def done(key: str, action: Action = Action.CREATED, reason: str | None = None, code: str | None = None) -> Outcome:
    """An outcome; a created lead has an id and was sent, as was what Salesforce itself may have refused or locked."""
    is_sent = action in (Action.CREATED, Action.NOT_SENT)
    return Outcome(
        key=key,
        action=action,
        reason=reason,
        error_code=code,
        salesforce_id=LEAD if action is Action.CREATED else None,
        api="collections" if is_sent else None,
        batch="1" if is_sent else None,
    )


REPEATED = Action.DUPLICATE_KEY
UNREADABLE = done("a", Action.REJECTED, code="MALFORMED_ROW")
UNKNOWN = done("a", Action.NOT_SENT, Reason.OUTCOME_UNKNOWN)


def test_nothing_before(tmp_path: Path, make: Make) -> None:
    """A first try knows of nothing."""
    tally = Tally()
    with rows(tmp_path) as earlier:
        earlier.resume(make("1"), tally)
        earlier.remember([])
        assert not earlier.settled("a")
        assert not earlier.unknown("a")
        assert earlier.created("a") is None
    assert tally.read == 0


def test_what_is_settled_counts_once(tmp_path: Path, make: Make) -> None:
    """A recorded row is known in any letter case, and is in the account already."""
    folder = record(make("1"), [done("A"), done("b", Action.FILTERED, "no_score"), done("c", Action.NOT_SENT)])
    tally = Tally()
    with rows(tmp_path) as earlier:
        earlier.resume(folder, tally)
        assert [earlier.settled(key) for key in ("b", "a", "c", "d")] == [True, True, False, False]
    assert (tally.read, tally.actions[Action.CREATED], tally.actions[Action.NOT_SENT]) == (2, 1, 0)


def test_letter_case_counts_where_it_does(tmp_path: Path, make: Make) -> None:
    """Where describe says that letter case counts, it does here too."""
    folder = record(make("1"), [done("A")])
    with rows(tmp_path, str) as earlier:
        earlier.resume(folder, Tally())
        assert not earlier.settled("a")
        assert earlier.settled("A")


@pytest.mark.parametrize(
    ("recorded", "known"),
    [
        (done("a", REPEATED), False),
        (UNREADABLE, False),
        (done("a", Action.REJECTED, code="STRING_TOO_LONG"), True),
        (Outcome(key="a", action=REPEATED, salesforce_id=LEAD), True),
    ],
)
def test_rows_of_one_key_are_told_apart(tmp_path: Path, make: Make, recorded: Outcome, *, known: bool) -> None:
    """Repetitions and unreadable rows do not answer for the row that is sent; a repetition by its lead was sent."""
    folder = record(make("1"), [recorded])
    with rows(tmp_path) as earlier:
        earlier.resume(folder, Tally())
        assert earlier.settled("a") is known


def test_what_was_announced_and_not_recorded_is_unknown(tmp_path: Path, make: Make) -> None:
    """After a kill nobody knows of the rows under way, and asking does not use that up."""
    folder = record(make("1"), [done("a")], announced=["a", "B"])
    with rows(tmp_path) as earlier:
        earlier.resume(folder, Tally())
        assert [earlier.unknown(key) is not None for key in ("a", "b", "B", "c")] == [False, True, True, False]


def test_what_another_execution_created_is_known(tmp_path: Path, make: Make) -> None:
    """Leads that other executions created, or may have, are not created again; their settled rows are not ours."""
    first = record(make("1"), [done("A"), done("r", Action.REJECTED)], announced=["A", "lost"])
    with rows(tmp_path) as earlier:
        earlier.remember(make("2").others())
        assert earlier.created("a") == LEAD
        assert earlier.created("r") is None
        assert [earlier.unknown(key) is not None for key in ("a", "LOST")] == [False, True]
        assert not earlier.settled("a")
    assert first.url != make("2").url


def test_only_other_executions_are_remembered(make: Make) -> None:
    """The execution at hand is not among the others, which come oldest first."""
    for name in ("3", "1", "2"):
        record(make(name), [])
    assert [other.execution for other in make("2").others()] == ["1", "3"]


def test_a_try_that_ends_keeps_what_nobody_knows(tmp_path: Path, make: Make) -> None:
    """Of the rows announced those stay whose outcome is unknown, or that no try has recorded."""
    left = done("c", Action.NOT_SENT, Reason.TRY_AGAIN)
    folder = record(make("1"), [UNKNOWN, done("b"), left], announced=["a", "b", "c", "d"])
    with rows(tmp_path) as ended:
        ended.conclude(folder)
    with rows(tmp_path) as earlier:
        earlier.resume(folder, Tally())
        assert [earlier.unknown(key) is not None for key in "abcd"] == [True, False, False, True]


def test_the_memory_is_gone_afterwards(tmp_path: Path, make: Make) -> None:
    """No file is left behind, and one that a killed worker left is replaced."""
    staging = tmp_path / "staging"
    staging.mkdir()
    (staging / "earlier.sqlite").write_bytes(b"rubbish")
    with rows(staging) as earlier:
        earlier.resume(make("1"), Tally())
    assert list(staging.iterdir()) == []


# Bugs that are reported: each mark goes when its bug does.


@pytest.mark.parametrize("other", [done("A", REPEATED), UNREADABLE], ids=["repetition", "unreadable"])
def test_another_row_of_the_key_settles_nothing(tmp_path: Path, make: Make, other: Outcome) -> None:
    """That a repetition or an unreadable row is recorded says nothing of the row that was sent."""
    folder = record(make("1"), [UNKNOWN, other], announced=["a"])
    with rows(tmp_path) as ended:
        ended.conclude(folder)
    with rows(tmp_path) as earlier:
        earlier.resume(folder, Tally())
        assert earlier.unknown("a")


@pytest.mark.parametrize("action", [Action.WOULD_CREATE, Action.REJECTED, Action.FILTERED, REPEATED])
def test_another_execution_that_sent_nothing_settles_nothing(tmp_path: Path, make: Make, action: Action) -> None:
    """A dry run, or an execution that refused the row, says nothing of what an earlier one sent."""
    record(make("1"), [UNKNOWN], announced=["a"])
    record(make("2"), [done("a", action)])
    with rows(tmp_path) as earlier:
        earlier.remember(make("3").others())
        assert earlier.unknown("a")


def test_a_killed_try_knows_what_it_did_not_send(tmp_path: Path, make: Make) -> None:
    """A row of which a killed try recorded that it was not written can be sent by the next."""
    folder = record(make("1"), [done("a", Action.NOT_SENT, Reason.TRY_AGAIN)], announced=["a"])
    with rows(tmp_path) as earlier:
        earlier.resume(folder, Tally())
        assert not earlier.unknown("a")


def test_all_sendings_of_a_row_are_one_doubt(tmp_path: Path, make: Make) -> None:
    """From the first to the last, in whichever execution, by whichever user."""
    later = UnansweredSend.at(SENT.since + timedelta(hours=1), "005000000000002AAA")
    record(make("1"), [], announced=["a"])
    Announcements(make("2"), str.lower).announce([("A", "who")], later)
    with rows(tmp_path) as earlier:
        earlier.remember(make("3").others())
        assert earlier.unknown("a") == SENT | replace(later, people=frozenset({"who"}))


def test_a_lead_that_was_found_is_known(tmp_path: Path, make: Make) -> None:
    """That an earlier try found the lead of a row without an answer settles the row, though it sent nothing."""
    found = Outcome(key="a", action=Action.CREATED, salesforce_id=LEAD)
    record(make("1"), [found], announced=["a"])
    with rows(tmp_path) as earlier:
        earlier.remember(make("2").others())
        assert earlier.unknown("a") is None
        assert earlier.created("a") == LEAD


@pytest.mark.parametrize(
    ("outcome", "is_open"),
    [
        (done("a", Action.UNCHANGED, "same_values"), False),
        (done("a", Action.REJECTED, code="STRING_TOO_LONG"), False),
        (done("a", Action.FILTERED, "no_score"), False),
        (done("a", REPEATED), True),
        (UNREADABLE, True),
        (UNKNOWN, True),
        (done("a", Action.NOT_SENT, "stopped"), False),
    ],
)
def test_whatever_settles_a_row_that_may_be_sent_again_ends_the_doubt(
    tmp_path: Path, make: Make, outcome: Outcome, *, is_open: bool
) -> None:
    """Its key tells in Salesforce what became of it; a repetition, or a row that cannot be read, does not settle it."""
    folder = record(make("1"), [outcome], announced=["a"])
    with EarlierRows(tmp_path, str.lower, repeatable=True) as earlier:
        earlier.resume(folder, Tally())
        assert (earlier.unknown("a") is not None) == is_open
    with EarlierRows(tmp_path, str.lower, repeatable=True) as earlier:
        earlier.conclude(folder)
    assert bool(list(Announcements(folder, str.lower).rows())) == is_open
