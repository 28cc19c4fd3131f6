from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.alert import Example, Occasion, State, dag_message, is_clean, task_message
from airflow_provider_sfleads.core.message import LIMIT
from airflow_provider_sfleads.core.report import SyncReport, entry_of
from tests.core.reports import report, reports

VALUE = "zaphod.b@heartofgold.example"
FAILED = Occasion(name="mql.move", run_id="scheduled__2026-11-17", state=State.FAILED, attempt=2)
DONE = Occasion(name="mql.move", run_id="scheduled__2026-11-17", state=State.SUCCEEDED)

texts = st.text(max_size=3_000)
occasions = st.builds(
    Occasion,
    name=texts,
    run_id=texts,
    state=st.sampled_from(State),
    attempt=st.none() | st.integers(min_value=1),
    dry_run=st.none() | st.booleans(),
    interval=st.none() | st.tuples(texts, texts),
    error=st.none() | texts,
    problem=st.none() | st.text(max_size=200),
    log_url=st.none() | texts,
)
# Rows that Salesforce refused, in words that repeat a value, and keys that are addresses.
telling = st.builds(
    Example,
    keys=st.lists(st.just(VALUE), max_size=3).map(tuple),
    was_sent=st.sampled_from([True]),
    fields=st.just(("Email", f"not a field {VALUE}")),
    message=st.just(f"bad value: {VALUE}"),
)
EMPTY = Example(keys=(), was_sent=True)
LONGEST = Occasion(
    name="n" * 500, run_id="r" * 500, state=State.FAILED, error="e" * 3_000, problem="p" * 200, log_url="u" * 1_000
)


@given(occasions, st.none() | reports, telling)
def test_a_message_is_whole_and_names_nobody(
    occasion: Occasion, given_report: SyncReport | None, each: Example
) -> None:
    """Whatever happened: short enough, the mode first, and of a person's data nothing."""
    examples = dict.fromkeys(given_report.reject_reasons if given_report else (), each)
    message = task_message(occasion, given_report, examples, salt="mql")
    assert len(message.text) < LIMIT
    assert message.text.startswith(("LIVE: ", "DRY RUN: ", "LIVE OR DRY RUN: "))
    for part in (message.text, message.html, message.subject):
        assert "heartofgold" not in part


@given(occasions, st.lists(st.tuples(texts, reports), max_size=15), st.lists(texts, max_size=15))
@example(DONE, [("move", report())] * 1_000, ["x" * 250] * 1_000)
def test_a_message_about_a_dag_is_whole(
    occasion: Occasion, syncs: Sequence[tuple[str, SyncReport]], failed: Sequence[str]
) -> None:
    """However many tasks there are."""
    message = dag_message(occasion, syncs, failed)
    assert len(message.text) <= LIMIT
    assert message.text.startswith(("LIVE: ", "DRY RUN: ", "LIVE OR DRY RUN: ", "LIVE AND DRY RUN: "))


def test_the_whole_of_it() -> None:
    """What came in, what changed, what was refused and why, with examples by key; where the rows and the log are."""
    examples = {
        "NOT_FOUND": Example(
            keys=("L-1", "L-22", VALUE), was_sent=False, message="no lead has this External_Id__c", fields=("Id",)
        ),
        "STRING_TOO_LONG": Example(keys=("L-3",), was_sent=True, fields=("LastName",), message=f"too long: {VALUE}"),
    }
    occasion = Occasion(**_fields(DONE), log_url="http://airflow/log")
    message = task_message(occasion, report(), examples, salt="mql")
    assert message.subject == "LIVE: mql.move succeeded (702 updated, 71 rejected)"
    lines = message.text.splitlines()
    hashed = lines[10].split(", ")[3].split(" ")[0]
    assert hashed.startswith("sha:")
    assert lines == [
        "LIVE: mql.move succeeded (702 updated, 71 rejected)",
        "",
        "Run: scheduled__2026-11-17",
        "Interval: 2026-11-17 00:00 to 2026-11-18 00:00 UTC",
        "Salesforce: acme.my.salesforce.com",
        "",
        "Read 5,714 rows: 702 updated, 1,356 unchanged, 3,585 filtered, 71 rejected.",
        "7 API calls, 1.5 seconds.",
        "",
        "Why rows were rejected:",
        f"- NOT_FOUND: 40 rows, such as 'L-1', 'L-22', {hashed} (no lead has this External_Id__c)",
        "- STRING_TOO_LONG: 31 rows, such as 'L-3' (LastName)",
        "",
        "To do: mend the rows in the rejects file, and feed it back as a FileExport.",
        f"Rejects, and beside them what became of each row: {report().rejects_path}",
        "",
        "Log: http://airflow/log",
    ]


def _fields(occasion: Occasion) -> dict[str, Any]:
    return {"name": occasion.name, "run_id": occasion.run_id, "state": occasion.state}


def test_a_dry_run_says_what_it_would_do() -> None:
    """And that it did not."""
    dry = report(dry_run=True, updated=0, would_update=700, would_create=2, read=5_714)
    message = task_message(DONE, dry, {}, salt="mql")
    assert message.text.startswith("DRY RUN: mql.move succeeded (2 would be created, 700 would be updated")
    assert "Read 5,714 rows: 2 would be created, 700 would be updated," in message.text


def test_what_was_done_before_a_task_was_cleared_is_said() -> None:
    """The subject sums; the counts of this execution add up to the rows read, and the sums stand below them."""
    names = ("20261118T020000.000000Z", "20261118T080000.000000Z")
    each = [entry_of(name, report(created=n)) for name, n in zip(names, (4_095, 40), strict=True)]
    told = report(created=40, executions=each)
    message = task_message(DONE, told, {}, salt="mql")
    assert "(4,135 created, 1,404 updated, 71 rejected)" in message.subject
    assert "40 created, 702 updated" in message.text
    assert "Cleared once: 4,135 created and 1,404 updated in all." in message.text
    of_dag = dag_message(DONE, [("move", told)], [])
    assert "4,135 created" in of_dag.subject
    assert "Cleared once: 4,135 created and 1,404 updated in all." in of_dag.text


def test_a_task_without_a_report_says_what_failed() -> None:
    """With each line of the error, and the mode and interval that its context tells."""
    occasion = Occasion(
        **_fields(FAILED), error="MappingError: it does not fit:\n  - a\n  - b", dry_run=False, interval=("x", "y")
    )
    text = task_message(occasion, None, {}, salt="mql").text
    assert text.startswith("LIVE: mql.move failed\n")
    assert "Interval: x to y UTC" in text
    assert "MappingError: it does not fit:\n- a\n- b\n" in text
    assert text.endswith("To do: when the cause is mended, clear the task.")


def test_what_the_error_says_is_not_said_twice() -> None:
    """The error of too many rejects names the rejects file, and what to do with it."""
    occasion = Occasion(**_fields(FAILED), error=f"RejectsExceededError: mend {report().rejects_path}")
    text = task_message(occasion, report(), {}, salt="mql").text
    assert text.count("rejects.csv") == 1
    assert "To do" not in text


@pytest.mark.parametrize(
    ("state", "todo"), [(State.RETRIED, "nothing yet; the next try"), (State.FAILED, "clear the task; it goes on with")]
)
def test_rows_not_sent_are_sent_by_another_try(state: State, todo: str) -> None:
    """Airflow's own, or that of who clears the task."""
    occasion = Occasion(name="a", run_id="b", state=state)
    assert todo in task_message(occasion, report(not_sent=3, rejected=0), {}, salt="mql").text


def test_more_reasons_than_are_named() -> None:
    """The top five, and how many rows there are beside."""
    many = report(rejected=100, reject_reasons={f"CODE_{n}": 20 - n for n in range(9)})
    text = task_message(DONE, many, {}, salt="mql").text
    assert "CODE_4: 16 rows" in text
    assert "CODE_5" not in text
    assert "10 rows for other reasons" in text


def test_the_key_of_a_broken_line_is_not_named() -> None:
    """Any value may stand where the key was."""
    broken = report(reject_reasons={"MALFORMED_ROW": 71})
    examples = {
        "MALFORMED_ROW": Example(keys=("Beeblebrox",), was_sent=False, message="line 7: 4 fields for 3 columns")
    }
    text = task_message(DONE, broken, examples, salt="mql").text
    assert "MALFORMED_ROW: 71 rows (line 7: 4 fields for 3 columns)" in text
    assert "Beeblebrox" not in text


def test_what_is_clean() -> None:
    """Success, and every row was taken."""
    clean = report(rejected=0)
    assert is_clean(DONE, [clean, clean])
    assert not is_clean(DONE, [clean, report()])
    assert not is_clean(DONE, [report(rejected=0, not_sent=1)])
    assert not is_clean(FAILED, [clean])


def test_what_is_not_known_is_not_clean() -> None:
    """No report, or one that could not be read."""
    assert not is_clean(DONE, [])
    assert not is_clean(Occasion(**_fields(DONE), problem="?"), [report(rejected=0)])
