"""Finding syncs on SQLite, on which Airflow is tried first; PostgreSQL is behind the routes' own tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.models.base import Base
from sqlalchemy import create_engine

from airflow_provider_sfleads.ui.syncs import LIMIT, SyncFilter, dags_with_syncs, reported, unreported
from tests.ui import made_up

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

LAST = datetime(2026, 11, 23, 3, tzinfo=UTC)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session on an empty database of Airflow."""
    import airflow.models

    airflow.models.import_all_models()  # type: ignore[no-untyped-call]
    url = f"sqlite:///{tmp_path}/airflow.db"
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    with made_up.database(url) as found:
        made_up.add_dag(found, "leads")
        yield found


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("by_interval", [False, True])
def test_reports_are_found_in_their_time(session: Session, *, by_interval: bool, as_text: bool) -> None:
    """In whichever of both ways Airflow stored them."""
    runs = [made_up.add_sync(session, "leads", LAST - timedelta(days=n), report={}, as_text=as_text) for n in range(5)]
    day = LAST.replace(hour=0) - timedelta(days=2 + by_interval)

    asked = SyncFilter(since=day, until=day + timedelta(days=1), by_interval=by_interval)

    assert [each["run_id"] for each in reported(session, asked, ["leads"])] == [runs[2]]
    assert dags_with_syncs(session, asked) == {"leads"}
    assert reported(session, asked, ["another"]) == []


def test_tasks_without_a_report_are_told_from_those_with_one(session: Session) -> None:
    """Each is in one of both; a mapped task is as many as its instances, and an operator may be derived from ours."""
    made_up.add_sync(session, "leads", LAST, report={}, map_index=0)
    made_up.add_sync(session, "leads", LAST, report=None, map_index=1, state="failed")
    made_up.add_sync(session, "leads", LAST, report=None, map_index=2, state="queued")
    made_up.add_sync(session, "leads", LAST, report=None, map_index=3, state="failed", operator="PythonOperator")

    made_up.add_sync(session, "leads", LAST, report=None, map_index=4, state="failed", operator="OurOwnOperator")
    made_up.add_xcom(
        session, "leads", LAST, {"task_id": "sync", "map_index": 4}, "_link_LeadSyncResultsLink", "/plugin/x"
    )

    assert [each["map_index"] for each in reported(session, SyncFilter(), ["leads"])] == [0]
    assert sorted(each["map_index"] for each in unreported(session, SyncFilter(), ["leads"])) == [1, 4]
    assert unreported(session, SyncFilter(map_index=0), ["leads"]) == []


def test_an_older_runs_numbers_are_not_told_of_a_task_that_never_began(session: Session) -> None:
    """Airflow keeps the XCom of a task that was cleared until it begins, which behind a failure it never does."""
    made_up.add_sync(session, "leads", LAST, report={}, state="upstream_failed")

    assert reported(session, SyncFilter(), ["leads"]) == []
    assert [each["state"] for each in unreported(session, SyncFilter(), ["leads"])] == ["upstream_failed"]


def test_what_only_looks_like_a_report_is_passed_over(session: Session) -> None:
    """A return value of somebody else's that speaks of reject reasons, and a report of a version to come."""
    task = {"task_id": "other", "map_index": -1}
    made_up.add_task(session, "leads", LAST, task, value={"reject_reasons": "none"})
    made_up.add_task(session, "leads", LAST, task | {"map_index": 4}, value="reject_reasons")
    made_up.add_sync(session, "leads", LAST, report={"new_in_this_version": 1})

    assert [each["task_id"] for each in reported(session, SyncFilter(), ["leads"])] == ["sync"]


def test_one_more_than_are_shown_is_found(session: Session) -> None:
    """So that the page can say that there are more."""
    for number in range(LIMIT + 2):
        made_up.add_sync(session, "leads", LAST, report={}, map_index=number)

    assert len(reported(session, SyncFilter(), ["leads"])) == LIMIT + 1
