"""A run of an older interval never undoes what a newer one wrote, where there is a memory of that."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_sfleads.exports import SqlTable
from tests.integration.support import Ran, Task, creating, moving, people

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

pytestmark = pytest.mark.usefixtures("salesforce_conn")

MONDAY = datetime(2026, 11, 16, 2, tzinfo=UTC)


@pytest.fixture(params=["table", "table, changed_only", "results"])
def memory(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What tells a run of newer ones."""
    state = {"conn_type": "duckdb", "host": str(tmp_path / "warehouse.db")}
    monkeypatch.setenv("AIRFLOW_CONN_STATE", json.dumps(state))
    table = {} if request.param == "results" else {"write_back": SqlTable("state", "lead_state")}
    return {"changed_only": request.param != "table", **table}


def on_day(day: int, operator: LeadSyncOperator) -> Ran:
    """Run an operator for a day of the week, 0 for Monday."""
    start = MONDAY + timedelta(days=day)
    context = {"data_interval_start": start, "data_interval_end": start + timedelta(days=1)}
    return Task(run_id=f"day_{day}", context=context).run(operator)


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_values_of_an_older_day_do_not_replace_those_of_a_newer_one(
    emulator: EmulatorServer, tmp_path: Path, memory: dict[str, Any], api: str
) -> None:
    """``existing="update"`` in a backfill: what only the old day knows is written, the rest is left alone."""
    more = {"existing": "update", "api": api, **memory}
    thursday = on_day(3, creating(people(3, company="Thursday"), tmp_path, **more))
    tuesday = on_day(1, creating(people(5, company="Tuesday"), tmp_path, **more))
    again = on_day(3, creating(people(3, company="Thursday II"), tmp_path, **more))
    friday = on_day(4, creating(people(1, company="Friday"), tmp_path, **more))

    assert thursday.counts == {"created": 3}
    assert tuesday.counts == {"unchanged": 3, "created": 2}
    assert tuesday.full["unchanged_reasons"] == {"newer_run": 3}
    assert all(row["salesforce_id"] for row in tuesday.rows)
    assert (again.counts, friday.counts) == ({"updated": 3}, {"updated": 1})
    companies = sorted(lead["Company"] for lead in emulator.leads())
    assert companies == ["Friday", "Thursday II", "Thursday II", "Tuesday", "Tuesday"]


def test_a_full_refresh_of_an_older_day_does_not_either(
    emulator: EmulatorServer, tmp_path: Path, memory: dict[str, Any]
) -> None:
    """It forgets what is the same, not what is newer."""
    more = {"existing": "update", **memory}
    on_day(3, creating(people(2, company="Thursday"), tmp_path, **more))
    tuesday = on_day(1, creating(people(2, company="Tuesday"), tmp_path, full_refresh=True, **more))

    assert tuesday.full["unchanged_reasons"] == {"newer_run": 2}
    assert {lead["Company"] for lead in emulator.leads()} == {"Thursday"}


@pytest.mark.parametrize("memory", ["table"], indirect=True)
def test_days_of_the_other_operator_are_no_reason(
    emulator: EmulatorServer, tmp_path: Path, memory: dict[str, Any]
) -> None:
    """The stages of a newer day say nothing of the values of an older one."""
    more = {"existing": "update", **memory}
    on_day(0, creating(people(2), tmp_path, **more))
    on_day(3, moving(people(2), tmp_path, **memory))
    tuesday = on_day(1, creating(people(2, company="Tuesday"), tmp_path, **more))

    assert tuesday.counts == {"updated": 2}
    assert {lead["Company"] for lead in emulator.leads()} == {"Tuesday"}


def test_without_a_ladder_an_older_day_does_not_move_a_lead_back(
    emulator: EmulatorServer, tmp_path: Path, memory: dict[str, Any]
) -> None:
    """There is no step-back protection, but there is the memory of what a newer day did."""
    on_day(0, creating(people(2), tmp_path, **memory))
    on_day(3, moving(people(1), tmp_path, stage="SQL", ladder=None, **memory))
    tuesday = on_day(1, moving(people(2), tmp_path, stage="MQL", ladder=None, **memory))

    assert tuesday.counts == {"unchanged": 1, "updated": 1}
    assert sorted(lead["Lead_Stage__c"] for lead in emulator.leads()) == ["MQL", "SQL"]


def test_without_a_memory_the_last_writer_wins(emulator: EmulatorServer, tmp_path: Path) -> None:
    """As docs/concepts/memory.md says of ``existing="update"``."""
    on_day(3, creating(people(1, company="Thursday"), tmp_path, existing="update"))
    tuesday = on_day(1, creating(people(1, company="Tuesday"), tmp_path, existing="update"))

    assert tuesday.counts == {"updated": 1}
    assert {lead["Company"] for lead in emulator.leads()} == {"Tuesday"}
