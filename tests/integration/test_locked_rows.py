"""Rows that were locked each time, in a job and by pages: known not to be written, and not in doubt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.support import FIELDS, Task, creating, leads, moving, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")


def operator(kind: str, tmp_path: Path, **more: Any) -> LeadSyncOperator:
    """One that moves five leads, or creates them by plain inserts."""
    if kind == "stage":
        return moving(people(5), tmp_path, api="bulk", **more)
    return creating(people(5), tmp_path, api="bulk", external_id_field=None, **more)


@pytest.mark.parametrize("kind", ["stage", "plain insert"])
def test_a_row_that_stays_locked_is_simply_tried_again(emulator: EmulatorServer, tmp_path: Path, kind: str) -> None:
    """Each refusal says that nothing was written: no lead is looked for, and the next try may have another mapping."""
    locked = "Last 3$"
    if kind == "stage":
        locked = emulator.seed_leads(leads(people(5)))[3]
    emulator.add_fault("lock", key=locked, count=50)
    task = Task()
    first = task.run(operator(kind, tmp_path))
    done = "updated" if kind == "stage" else "created"
    assert first.counts == {done: 4, "not_sent": 1}
    line = first.by_key["K-3"]
    assert (line["reason"], line["error_code"]) == ("try_again", "UNABLE_TO_LOCK_ROW")
    emulator.clear_faults()
    mapping = {"fields": {**FIELDS, "company": "Description"}} if kind == "stage" else {}
    second = task.run(operator(kind, tmp_path, **mapping))
    assert second.error is None
    assert len(emulator.leads()) == 5
