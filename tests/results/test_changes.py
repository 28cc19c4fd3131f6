"""What is read back of a dry run: the first rows that would change, and how rows are grouped."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.changes import changes, looked_up, sent_by_group
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import part_names
from airflow_provider_sfleads.salesforce.paging import cut

WOULD = (Action.WOULD_CREATE, Action.WOULD_UPDATE)
OUTCOMES = st.builds(
    Outcome,
    key=st.text("ab@", min_size=1, max_size=3),
    action=st.sampled_from(Action),
    reason=st.sampled_from([None, "same_values", "beyond_stage"]),
    error_code=st.sampled_from([None, "NOT_FOUND", "STRING_TOO_LONG"]),
    salesforce_id=st.sampled_from([None, "00Q5g0000000001EAA"]),
    old_stage=st.sampled_from([None, "Lead"]),
    attempt=st.integers(1, 2),
)


def is_looked_up(outcome: Outcome) -> bool:
    """Whether Salesforce was asked about a row."""
    return (
        outcome.action in WOULD
        or (outcome.action is Action.UNCHANGED and outcome.reason != "same_values")
        or (outcome.action is Action.REJECTED and outcome.error_code == "NOT_FOUND")
        or (outcome.action is Action.DUPLICATE_KEY and outcome.salesforce_id is not None)
    )


@settings(deadline=None, max_examples=40)
@given(
    outcomes=st.lists(OUTCOMES, max_size=30),
    part_rows=st.integers(3, 40),
    size=st.integers(1, 5),
    ahead=st.integers(0, 12),
)
def test_rows_and_groups_are_those_that_were_recorded(
    outcomes: list[Outcome], part_rows: int, size: int, ahead: int
) -> None:
    """Over all parts, in order, whatever lies between."""
    asked = [outcome for outcome in outcomes if is_looked_up(outcome)]
    would = [outcome for outcome in outcomes if outcome.action in WOULD]
    with TemporaryDirectory() as path:
        folder = ResultsFolder(path, "d", "r", "t", -1, "1")
        with folder.writer(columns=(), part_rows=part_rows) as writer:
            for outcome in outcomes:
                writer.write(outcome, {})
        parts = part_names(folder.directory)
        shown = [(row.key, row.action, row.salesforce_id, row.old_stage) for row in changes(folder)]
        groups = sent_by_group(folder, parts, size=size, ahead=ahead)
        mine, whole = looked_up(folder, attempt=2)

    assert shown == [(row.key, row.action, row.salesforce_id, row.old_stage) for row in would]
    sent = [True] * ahead + [outcome.action in WOULD for outcome in asked]
    assert [n for n in groups if n] == [n for n in map(sum, cut(sent, size)) if n]
    assert (mine, whole) == (sum(row.attempt == 2 for row in asked), len(asked))


def test_no_more_is_read_than_is_asked_for(tmp_path: Path) -> None:
    """The tenth row of the first part ends it: what comes after need not even be there."""
    folder = ResultsFolder(tmp_path, "d", "r", "t", -1, "1")
    with folder.writer(columns=(), part_rows=20) as writer:
        for n in range(100):
            writer.write(Outcome(key=str(n), action=Action.WOULD_CREATE if n % 2 else Action.FILTERED))
    for name in part_names(folder.directory)[1:]:
        Path(folder.directory.file(name)).write_bytes(b"no parquet")

    assert [row.key for row in islice(changes(folder), 10)] == [str(n) for n in range(1, 20, 2)]


def test_rows_of_some_parts_only(tmp_path: Path) -> None:
    """Those that are asked for, by name."""
    folder = ResultsFolder(tmp_path, "d", "r", "t", -1, "1")
    with folder.writer(columns=()) as writer:
        for mark in ("a", "b"):
            with writer.marked(mark):
                writer.write(Outcome(key=mark, action=Action.WOULD_CREATE))

    assert [row.key for row in changes(folder, part_names(folder.directory)[1:])] == ["b"]
