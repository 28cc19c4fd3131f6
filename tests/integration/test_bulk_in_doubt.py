"""Rows that an earlier execution of the task left in doubt, in a load through Bulk API: asked for, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.support import Task, people
from tests.integration.test_unknown_outcomes import AT_ONCE, CREATES, HOURS, names, plain

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer

pytestmark = pytest.mark.usefixtures("salesforce_conn")


def with_one_in_doubt(emulator: EmulatorServer, folder: Path, *, fault: str) -> Task:
    """A task whose first execution created two of three rows, and whose journal somebody removed."""
    task = Task()
    emulator.add_fault(fault, nth=1, body="Last 2", **CREATES)
    emulator.add_fault("status", path="/quer", status=403, reply=[{"errorCode": "NO", "message": "no"}])
    assert task.run(plain(people(3), folder, batch_size=1)).counts == {"created": 2, "not_sent": 1}
    emulator.clear_faults()
    task.store.values.clear()
    return task


def test_a_row_in_doubt_is_sent_once_it_is_surely_absent(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Until then it stays open, try after try, and in the account."""
    task = with_one_in_doubt(emulator, tmp_path, fault="drop_before")
    for _ in range(2):
        ran = task.run(plain(people(3), tmp_path, api="bulk", late=HOURS))
        assert ran.counts == {"unchanged": 2, "not_sent": 1}
        assert ran.by_key["K-2"]["reason"] == "outcome_unknown"
    ran = task.run(plain(people(3), tmp_path, api="bulk", late=AT_ONCE))
    assert ran.counts == {"unchanged": 2, "created": 1}
    assert names(emulator) == ["Last 0", "Last 1", "Last 2"]


def test_a_row_in_doubt_that_is_there_is_not_sent_again(emulator: EmulatorServer, tmp_path: Path) -> None:
    """Its lead is found at once, and the rest goes by a job."""
    task = with_one_in_doubt(emulator, tmp_path, fault="drop_after")
    ran = task.run(plain(people(5), tmp_path, api="bulk", late=HOURS))
    assert ran.counts == {"unchanged": 2, "created": 3}
    assert ran.full["job_ids"]
    assert names(emulator) == [f"Last {n}" for n in range(5)]
