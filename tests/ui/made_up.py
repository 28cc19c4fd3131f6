"""Runs as Airflow's database knows them, without the runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import uuid6
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.types import DagRunType
from sqlalchemy import create_engine, delete, insert, select
from sqlalchemy.orm import Session

from airflow_provider_sfleads.core.report import COUNTS
from tests.core.reports import VALUES

_BUNDLE = "made-up"
OPERATOR = "SalesforceUpdateLeadStageOperator"


@contextmanager
def database(url: str) -> Iterator[Session]:
    """A session on an Airflow's database."""
    engine = create_engine(url)
    try:
        with Session(engine) as session:
            yield session
            session.commit()
    finally:
        engine.dispose()


def clear(session: Session) -> None:
    """Have nothing of what was made up."""
    for table in (XComModel, TaskInstance, DagRun):
        session.execute(delete(table))
    session.execute(delete(DagModel).where(DagModel.bundle_name == _BUNDLE))


def remove_run(session: Session, dag_id: str, run_id: str) -> None:
    """Have no run of that name."""
    for table in (XComModel, TaskInstance, DagRun):
        session.execute(delete(table).where(table.dag_id == dag_id, table.run_id == run_id))


def add_dag(session: Session, dag_id: str) -> None:
    """Have a Dag of that name."""
    session.merge(DagBundleModel(name=_BUNDLE))
    session.flush()
    # Its constructor fills in what has to be there; it has no types.
    session.add(DagModel(dag_id=dag_id, bundle_name=_BUNDLE, is_stale=False, fileloc="made_up.py"))  # type: ignore[no-untyped-call]
    session.flush()


def add_sync(
    session: Session,
    dag_id: str,
    ran_at: datetime,
    *,
    report: dict[str, Any] | None,
    task_id: str = "sync",
    map_index: int = -1,
    state: str = "success",
    operator: str = OPERATOR,
    as_text: bool = False,
) -> str:
    """Have a run with one task, and what it pushed.

    :param report: changes to a report that is fine; none was pushed where it is ``None``.
    :param as_text: store the XCom as Airflow's own Python code does, and not as its API does.
    :return: the run's id.
    """
    value = None
    if report is not None:
        start = _day_before(ran_at)
        interval = {"interval_start": start.isoformat(), "interval_end": (start + timedelta(days=1)).isoformat()}
        times = {"started_at": ran_at.isoformat(), "finished_at": (ran_at + timedelta(seconds=2)).isoformat()}
        value = VALUES | interval | times | report
    task = {"task_id": task_id, "map_index": map_index}
    stored = json.dumps(value) if value and as_text else value
    return add_task(session, dag_id, ran_at, task, value=stored, state=state, operator=operator)


def entry(execution: str, **changes: Any) -> dict[str, Any]:
    """What a report tells of an execution, in its ``executions``."""
    counts = dict.fromkeys((*COUNTS, "api_calls"), 0)
    return {"execution": execution, "dry_run": execution.endswith("-dry-run"), **counts, **changes}


def add_task(
    session: Session,
    dag_id: str,
    ran_at: datetime,
    task: dict[str, Any],
    *,
    value: object,
    state: str = "success",
    operator: str = "PythonOperator",
) -> str:
    """Have a task instance of a run, and what it returned, if anything; return the run's id."""
    run_id = f"scheduled__{ran_at.isoformat()}"
    start = _day_before(ran_at)
    run = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        made = insert(DagRun).values(
            dag_id=dag_id, run_id=run_id, run_type=DagRunType.SCHEDULED, state="success", logical_date=ran_at,
            data_interval_start=start, data_interval_end=start + timedelta(days=1), run_after=ran_at, start_date=ran_at,
        )  # fmt: skip
        run = session.scalar(made.returning(DagRun.id))
    mine = {"dag_id": dag_id, "run_id": run_id, **task}
    session.execute(
        insert(TaskInstance).values(
            id=uuid6.uuid7(), try_number=1, state=state, operator=operator, start_date=ran_at, pool="default_pool",
            pool_slots=1, **mine,
        )
    )  # fmt: skip
    if value is not None:
        add_xcom(session, dag_id, ran_at, task, "return_value", value)
    return run_id


def add_xcom(session: Session, dag_id: str, ran_at: datetime, task: dict[str, Any], key: str, value: object) -> None:
    """Have an XCom of a task instance."""
    run_id = f"scheduled__{ran_at.isoformat()}"
    run = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    mine = {"dag_id": dag_id, "run_id": run_id, **task}
    session.execute(insert(XComModel).values(dag_run_id=run, key=key, value=value, timestamp=ran_at, **mine))


def _day_before(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0) - timedelta(days=1)
