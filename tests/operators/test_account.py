"""What a task fails with, and what it says."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.core.report import SyncReport, Tally
from airflow_provider_sfleads.exceptions import (
    ApiLimitError,
    BulkJobError,
    ExportError,
    RejectsExceededError,
    RowsNotSentError,
    SalesforceLeadsError,
)
from airflow_provider_sfleads.operators.load_context import LoadOutcome
from airflow_provider_sfleads.operators.load_report import failure_of, summary

FOLDER = "file:///results/dag/run/task/-1/1"


def run_of(*, halted: SalesforceLeadsError | None = None, export_error: ExportError | None = None) -> LoadOutcome:
    """A run that has ended."""
    return LoadOutcome(tally=Tally(), read=0, halted=halted, export_error=export_error)


def report_of(*, codes: dict[str, int] | None = None, **counts: int) -> SyncReport:
    """A report with these counts."""
    tally = Tally()
    names = {"duplicate_keys": "duplicate_key"}
    for name, number in counts.items():
        for _ in range(number):
            tally.add(Outcome(key="", action=Action(names.get(name, name))))
    for code, number in (codes or {}).items():
        for _ in range(number):
            tally.add(Outcome(key="", action=Action.REJECTED, error_code=code))
    rest: dict[str, Any] = dict.fromkeys(SyncReport.__dataclass_fields__)
    rest |= {
        "results_path": FOLDER,
        "rejects_path": f"{FOLDER}/rejects.csv",
        "api_calls": 7,
        "job_ids": (),
        "executions": (),
    }
    return SyncReport(**(rest | tally.counts() | {"reject_reasons": tally.reject_reasons()}))


def test_a_clean_run() -> None:
    """A run that created, updated, filtered and left alone is a success."""
    report = report_of(created=3, updated=1, unchanged=2, filtered=1, duplicate_keys=1, would_create=1)
    assert failure_of(run_of(), report, 0) is None


@pytest.mark.parametrize(
    ("rejected", "created", "allowed", "fails"),
    [
        (1, 9, 0, True), (1, 9, 1, False), (2, 8, 1, True), (0, 0, 0, False),
        (1, 9, 0.1, False), (2, 8, 0.1, True), (0, 0, 0.0, False), (1, 9, 0.0, True), (29, 71, 0.29, False),
    ],
)  # fmt: skip
def test_rejects(rejected: int, created: int, allowed: float, *, fails: bool) -> None:
    """More rejects than allowed fail the task; the share is of the rows read."""
    failure = failure_of(run_of(), report_of(codes={"X": rejected}, created=created), allowed)
    assert isinstance(failure, RejectsExceededError) is fails


def test_the_message_of_rejects() -> None:
    """It names the counts, the commonest reasons, what is allowed, and the file to mend."""
    codes = {f"CODE_{number}": number for number in range(1, 8)}
    failure = failure_of(run_of(), report_of(codes=codes, created=1000), 2)
    text = str(failure)
    for words in ("28 of 1,028 rows", "CODE_7 7, CODE_6 6, CODE_5 5", "max_rejects=2", f"{FOLDER}/rejects.csv"):
        assert words in text
    assert "CODE_2" not in text
    assert failure is not None
    assert not failure.transient


def test_the_message_of_rows_not_sent() -> None:
    """It names the counts, why sending stopped, and where to look; a retry is worth it."""
    halted = ApiLimitError("The limit is reached.")
    failure = failure_of(run_of(halted=halted), report_of(not_sent=1200, created=34), 0)
    assert isinstance(failure, RowsNotSentError)
    for words in ("1,200 of 1,234 rows", "The limit is reached.", FOLDER):
        assert words in str(failure)
    assert failure.transient
    assert failure.__cause__ is halted


def test_the_message_of_rejects_says_what_no_mended_row_cures() -> None:
    """Of the two commonest such codes; where the values are to be mended there is nothing to add."""
    codes = {
        "STRING_TOO_LONG": 9,
        "DUPLICATES_DETECTED": 3,
        "INSUFFICIENT_ACCESS_OR_READONLY": 2,
        "ENTITY_IS_DELETED": 1,
    }
    text = str(failure_of(run_of(), report_of(codes=codes), 0))
    assert "FileExport. DUPLICATES_DETECTED: A duplicate rule" in text
    assert "INSUFFICIENT_ACCESS_OR_READONLY: Give the Run-As user" in text
    assert "recycle bin" not in text
    assert str(failure_of(run_of(), report_of(codes={"STRING_TOO_LONG": 1}), 0)).endswith("as a FileExport.")


def test_rows_of_a_job_that_would_fail_again_are_no_matter_of_a_retry() -> None:
    """It says so, with what the job said; where no row was left, the run is a success."""
    halted = BulkJobError("Job 750 ended Failed: InvalidBatch : x. Do this.")
    failure = failure_of(run_of(halted=halted), report_of(not_sent=1200, created=34), 0)
    assert type(failure) is BulkJobError
    assert not failure.transient
    for words in ("1,200 of 1,234 rows", "no retry", "InvalidBatch : x. Do this.", "clear the task", FOLDER):
        assert words in str(failure)
    assert failure.__cause__ is halted
    assert failure_of(run_of(halted=halted), report_of(created=1), 0) is None


def test_the_order() -> None:
    """Rows not sent go first, since they are worth a retry; then a broken export, then rejects."""
    broken = ExportError("line 7")
    both = report_of(not_sent=1, codes={"X": 1})
    unsent = failure_of(run_of(export_error=broken), both, 0)
    assert isinstance(unsent, RowsNotSentError)
    assert "line 7" in str(unsent)
    assert failure_of(run_of(export_error=broken), report_of(codes={"X": 1}), 0) is broken
    assert isinstance(failure_of(run_of(), both, 0), RowsNotSentError)
    assert isinstance(failure_of(run_of(), report_of(codes={"X": 1}), 0), RejectsExceededError)


def test_a_stop_that_left_nothing() -> None:
    """Where sending stopped after the last row, nothing is missing."""
    assert failure_of(run_of(halted=ApiLimitError("used up")), report_of(created=1), 0) is None


def test_the_summary() -> None:
    """One line has every count that is not zero, and where the results are."""
    report = report_of(created=1200, duplicate_keys=1, not_sent=2)
    text = summary(report)
    assert text == f"read 1,203: created 1,200, not_sent 2, duplicate_keys 1; 7 API calls; {FOLDER}"
    assert summary(report_of()).startswith("read 0: nothing;")
