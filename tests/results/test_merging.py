"""Two runs that write one row of the table: the same row in either order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseHook
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.results import warehouse
from tests.results.states import State, write_back

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 1, 10, 2, tzinfo=UTC)
KEYS = 10
VALUES = ("created_values", "stage_values")
NAMES = count()
Table = dict[str, dict[str, Any]]


@pytest.fixture(params=["sqlite"])
def _warehouse(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WH", json.dumps({"conn_type": request.param, "host": str(tmp_path / "wh")}))
    # DuckDB is given so many rows at a time.
    monkeypatch.setattr(warehouse.DuckDbWarehouse, "PORTION", 4)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of an operator writes back."""

    operation: str
    day: int
    rows: tuple[State, ...]

    def write(self, table: SqlTable) -> int:
        """Write it, and say how many rows of the table that changed."""
        end = NOW + self.day * DAY
        return write_back(table, self.rows, 3, interval_end=end, operation=self.operation, remembers=True)


IS_MOVED = st.sampled_from([True])
PRINTS = st.sampled_from([None, "", "v1", "v2"])


def created(lead_id: str | None) -> st.SearchStrategy[State]:
    """What the create operator has to say of a lead: never a stage."""
    base = State(key="", salesforce_id=lead_id, action="unchanged", stage=None)
    wrote = st.builds(replace, st.just(base), action=st.sampled_from(["created", "updated"]), confirmed=PRINTS)
    return wrote | st.builds(replace, st.just(base), is_current=st.booleans(), confirmed=PRINTS)


def moved(lead_id: str | None, stages: Sequence[str]) -> st.SearchStrategy[State]:
    """What the stage operator has to say of a lead."""
    base = State(key="", salesforce_id=lead_id, action="unchanged", stage=None)
    stage, seen = st.sampled_from(stages), st.sampled_from([None, *stages])
    is_moved = st.builds(replace, st.just(base), action=st.just("updated"), stage=stage, is_moved=IS_MOVED)
    is_there = st.builds(replace, st.just(base), stage=seen, is_current=st.booleans())
    return st.builds(replace, is_moved | is_there, confirmed=PRINTS)


@st.composite
def runs(draw: st.DrawFn, number: int, *, ids: Sequence[str | None], stages: Sequence[str]) -> tuple[Run, ...]:
    """Runs of different intervals, which have met the same keys at different times."""
    days = draw(st.permutations(range(number)))
    at = [draw(st.permutations(range(number))) for _ in range(KEYS)]
    found = []
    for place, day in enumerate(days):
        operation = draw(st.sampled_from(["create", "update_stage"]))
        rows = []
        for key in range(KEYS):
            lead_id = draw(st.sampled_from(ids))
            row = draw(created(lead_id) if operation == "create" else moved(lead_id, stages))
            rows.append(replace(row, key=f"K-{key}", finished_at=NOW + at[key][place] * HOUR))
        found.append(Run(operation=operation, day=day, rows=tuple(rows)))
    return tuple(found)


def written(order: Sequence[Run]) -> Table:
    """What a table holds once the runs have written, by key; writing the last one again changes nothing."""
    table = SqlTable("wh", f"state_{next(NAMES)}")
    for run in order:
        run.write(table)
    found = held(table)
    order[-1].write(table)
    assert held(table) == found
    drop(table)
    return found


def held(table: SqlTable) -> Table:
    """The rows of a table by key."""
    with SqlExport("wh", f"SELECT * FROM {table.table}").open() as stream:  # noqa: S608 - a name of ours
        rows = [dict(row) for row in stream.rows]  # type: ignore[arg-type]
    return {str(row["key"]): row for row in rows}


def drop(table: SqlTable) -> None:
    """Remove a table."""
    with closing(BaseHook.get_connection("wh").get_hook().get_conn()) as connection:  # type: ignore[no-untyped-call]
        connection.cursor().execute(f"DROP TABLE {table.table}")
        connection.commit()


def without(names: Sequence[str], table: Table) -> Table:
    """Rows without some columns; one that is not there is empty."""
    return {
        key: {name: v for name, v in row.items() if v is not None and name not in names} for key, row in table.items()
    }


many = settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Each example goes through a real database: to make one smaller takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


@pytest.mark.usefixtures("_warehouse")
@pytest.mark.parametrize("_warehouse", ["sqlite", "duckdb"], indirect=True)
@many
@given(both=runs(2, ids=["00QA", "00QA", "00QB", None], stages=["MQL", "SQL"]))
def test_two_runs_give_the_same_row_in_either_order(both: tuple[Run, Run]) -> None:
    """Whatever they did, and also where the lead was deleted and created anew between them."""
    older, newer = sorted(both, key=lambda run: run.day)
    one, other = written([older, newer]), written([newer, older])

    assert without(VALUES, one) == without(VALUES, other)


@pytest.mark.usefixtures("_warehouse")
@many
@given(all_three=runs(3, ids=["00QA", None], stages=["MQL", "SQL"]))
def test_three_runs_give_the_same_row_in_any_order(all_three: tuple[Run, ...]) -> None:
    """When a lead was moved to which of two stages in turn, only two runs can tell."""
    first, *others = (without((*VALUES, "moved_at"), written(order)) for order in permutations(all_three))

    assert others == [first] * 5


@pytest.mark.usefixtures("_warehouse")
@many
@given(all_three=runs(3, ids=["00QA", None], stages=["MQL"]))
def test_three_runs_tell_alike_when_the_lead_was_moved(all_three: tuple[Run, ...]) -> None:
    """The latest of all moves, whichever run writes it first or last, and whatever the others found."""
    tables = [written(order) for order in permutations(all_three)]
    moves = {
        f"K-{n}": max((row.finished_at for run in all_three for row in [run.rows[n]] if row.is_moved), default=None)  # type: ignore[type-var]
        for n in range(KEYS)
    }

    for table in tables:
        assert {key: _time(row["moved_at"]) for key, row in table.items()} == moves


@pytest.mark.usefixtures("_warehouse")
@many
@given(both=runs(2, ids=["00QA"], stages=["MQL"]))
def test_what_is_remembered_is_what_the_newer_run_confirmed_or_nothing(both: tuple[Run, Run]) -> None:
    """An older run that writes last, and confirmed something else, may have undone the newer one."""
    older, newer = sorted(both, key=lambda run: run.day)
    in_order, overlapped = written([older, newer]), written([newer, older])

    if older.operation != newer.operation:
        assert in_order == overlapped
        return
    name = "created_values" if older.operation == "create" else "stage_values"
    for n in range(KEYS):
        old, new = older.rows[n].confirmed, newer.rows[n].confirmed
        assert in_order[f"K-{n}"][name] == (old if new is None else new)
        if not newer.rows[n].is_current:
            # It only met a lead that it leaves alone: nothing there could be undone.
            assert overlapped[f"K-{n}"][name] == (new if old is None else old)
        elif new is not None:
            assert overlapped[f"K-{n}"][name] == (new if old in (None, new) else "")
        else:
            assert overlapped[f"K-{n}"][name] in (old, "")


@pytest.mark.usefixtures("_warehouse")
@pytest.mark.parametrize("_warehouse", ["sqlite", "duckdb"], indirect=True)
@settings(many, max_examples=4)
@given(both=runs(2, ids=["00QA", "00QB", None], stages=["MQL", "SQL"]))
def test_a_row_that_is_only_touched_becomes_what_merging_it_would_have_made(both: tuple[Run, Run]) -> None:
    """A database that cannot update rows from a query merges all of them."""
    for order in (both, both[::-1]):
        touched = written(order)
        with pytest.MonkeyPatch.context() as patch:
            for name in ("sqlite", "duckdb"):
                able = warehouse.dialect_of(name)
                patch.setitem(warehouse._DIALECTS, name, replace(able, updates_from=False))
            assert touched == written(order)


def _time(value: object) -> datetime | None:
    """A time as any database gives it."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value  # type: ignore[return-value]
