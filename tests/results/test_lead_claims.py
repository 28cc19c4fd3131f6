"""Leads that rows without an answer take for their own: of two rows that take one, one gets it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.claims import LeadClaims
from airflow_provider_sfleads.results.folder import ResultsFolder

LEAD, OTHER = "00Q000000000001AAA", "00Q000000000002AAA"


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """An execution's folder."""
    return ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")


def now() -> datetime:
    """When the leads were made."""
    return datetime.now(UTC) - timedelta(minutes=1)


def record(folder: ResultsFolder, lead_id: str, action: Action = Action.CREATED) -> None:
    """Let an execution record a row."""
    with folder.writer(columns=("id",), resume=True) as writer:
        writer.write(Outcome(key="k", action=action, salesforce_id=lead_id))


def test_what_nobody_else_has_is_one_s_own(folder: ResultsFolder) -> None:
    """Also where this execution has claimed or recorded it before, in a try that was killed."""
    record(folder, LEAD)
    assert [LeadClaims(folder).take([LEAD], now()) for _ in range(2)] == [set(), set()]


@pytest.mark.parametrize("where", [{"execution": "2"}, {"run_id": "another"}, {"task_id": "another"}])
def test_what_another_run_has_recorded_or_claimed_is_its_own(folder: ResultsFolder, where: dict[str, str]) -> None:
    """In any execution, run or task of the Dag; that it only found a lead says nothing."""
    other = replace(folder, **where)  # type: ignore[arg-type]
    record(other, LEAD)
    record(other, OTHER, Action.UNCHANGED)
    assert LeadClaims(folder).take([LEAD, OTHER], now()) == {LEAD}
    claiming = replace(folder, run_id="third")
    assert LeadClaims(claiming).take([OTHER], now()) == {OTHER}
    LeadClaims(folder).forget()
    assert LeadClaims(claiming).take([OTHER], now()) == set()


def test_another_dag_s_claims_do_not_count(folder: ResultsFolder) -> None:
    """Its results cannot be looked through."""
    LeadClaims(replace(folder, dag_id="another")).take([LEAD], now())
    assert LeadClaims(folder).take([LEAD], now()) == set()


@pytest.mark.parametrize("attempt", range(5))
def test_of_many_at_once_one_gets_a_lead(folder: ResultsFolder, attempt: int) -> None:
    """Whoever comes second sees the first, and of those that see each other one withdraws."""
    runs = [replace(folder, run_id=f"run-{attempt}-{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        refused = list(pool.map(lambda run: LeadClaims(run).take([LEAD], now()), runs))
    assert refused.count(set()) == 1


def test_a_run_that_was_killed_while_it_asked_is_not_waited_for_without_end(folder: ResultsFolder) -> None:
    """Nobody knows whether it had the lead: it counts as one that was there."""
    LeadClaims(folder)._write("x.json", [LEAD], is_granted=False)
    assert LeadClaims(replace(folder, run_id="a run before it")).take([LEAD], now()) == {LEAD}
