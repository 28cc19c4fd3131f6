"""Query the syncs that Airflow's database knows: the reports among the XComs, and the tasks that left none."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Text, and_, cast, exists, func, not_, or_, select, true

from airflow_provider_sfleads.core.report import SyncReport, again, are_executions, how_often, live_total, shown
from airflow_provider_sfleads.operators.links import EXECUTIONS, LeadSyncResultsLink

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    _Select = Select[*tuple[Any, ...]]

#: How many syncs are shown at most; the newest are.
LIMIT = 2_000
_OPERATORS = ("SalesforceCreateLeadsOperator", "SalesforceUpdateLeadStageOperator")
# A task that has not begun is no news.
_TOLD = (
    "success",
    "failed",
    "upstream_failed",
    "running",
    "deferred",
    "up_for_retry",
    "up_for_reschedule",
    "restarting",
)
_ZONES = timedelta(days=1)
_LEFT_OUT = ("results_path", "rejects_path")
_RAN_AT = func.coalesce(TaskInstance.start_date, DagRun.start_date, DagRun.run_after)
_INSTANCE = (
    TaskInstance.dag_id,
    TaskInstance.run_id,
    TaskInstance.task_id,
    TaskInstance.map_index,
    TaskInstance.try_number,
    TaskInstance.state,
    DagRun.run_type,
    _RAN_AT.label("ran_at"),
    DagRun.data_interval_start.label("interval_start"),
    DagRun.data_interval_end.label("interval_end"),
)


def _of_instance(key: str) -> tuple[ColumnElement[bool], ...]:
    # By the primary key of XComs: what PostgreSQL makes of any other it may make for each task instance anew.
    return (
        XComModel.dag_run_id == DagRun.id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key == key,
    )


_SAME_RUN = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
_REPORT = and_(
    *_of_instance("return_value"),
    # A report, and no other task's return value; as text, since there are two ways in which Airflow stores JSON.
    cast(XComModel.value, Text).like("%reject_reasons%"),
)
# Airflow removes XComs when a task begins: of one that is not going to, there may be an older run's.
_NEVER_BEGAN = func.coalesce(TaskInstance.state, "").in_(("upstream_failed", "skipped"))
_HAS_REPORT = and_(exists().where(_REPORT), not_(_NEVER_BEGAN))
_IS_SYNC = or_(
    TaskInstance.operator.in_(_OPERATORS),
    # Of operators that somebody derived from ours, this tells.
    exists().where(*_of_instance(LeadSyncResultsLink().xcom_key)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncFilter:
    """Which syncs to look for; ``None`` is no condition.

    :param dag_id: of that Dag.
    :param run_id: of that run.
    :param task_id: of that task.
    :param map_index: of that mapped instance.
    :param since: that began then or later; by interval, whose interval began then or later.
    :param until: that began before; likewise.
    :param by_interval: which of both.
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    by_interval: bool = False


def dags_with_syncs(session: Session, asked: SyncFilter) -> set[str]:
    """Return the Dags that have syncs in the time asked for, whoever may see them."""
    time = SyncFilter(since=asked.since, until=asked.until, by_interval=asked.by_interval)
    reported = _reported(select(TaskInstance.dag_id), time)
    unreported = _unreported(select(TaskInstance.dag_id), time)
    return set(session.scalars(reported.distinct())) | set(session.scalars(unreported.distinct()))


def reported(session: Session, asked: SyncFilter, dag_ids: Collection[str]) -> Sequence[dict[str, Any]]:
    """Return the syncs that left a report, newest first, one more than :data:`LIMIT` where there are more.

    :param dag_ids: the Dags that may be seen.
    """
    found = _reported(select(*_INSTANCE, XComModel.value), asked).where(TaskInstance.dag_id.in_(dag_ids))
    found = found.order_by(_RAN_AT.desc())
    # By the interval it is decided here which of them are meant.
    rows = session.execute(found if asked.by_interval else found.limit(LIMIT + 1))
    return list(islice(_with_reports((row._asdict() for row in rows), asked), LIMIT + 1))


def unreported(session: Session, asked: SyncFilter, dag_ids: Collection[str]) -> Sequence[dict[str, Any]]:
    """Return the task instances that left no report, newest first: under way, killed, or failed before they began.

    Likewise one more than :data:`LIMIT` where there are more.

    :param dag_ids: the Dags that may be seen.
    """
    earlier = select(XComModel.value).where(*_of_instance(EXECUTIONS)).scalar_subquery().label("value")
    found = _unreported(select(*_INSTANCE, earlier), asked).where(TaskInstance.dag_id.in_(dag_ids))
    rows = session.execute(found.order_by(_RAN_AT.desc()).limit(LIMIT + 1))
    return [_with_earlier(row._asdict()) for row in rows]


def report_of(session: Session, asked: SyncFilter) -> SyncReport | None:
    """Return the report of one task instance, all of whose names are asked for."""
    return _parsed(session.scalar(_reported(select(XComModel.value), asked)))


def _reported(chosen: _Select, asked: SyncFilter) -> _Select:
    found = chosen.select_from(TaskInstance).join(DagRun, _SAME_RUN).join(XComModel, _REPORT).where(not_(_NEVER_BEGAN))
    if not asked.by_interval:
        return found.where(*_conditions(asked, _RAN_AT, asked.since, asked.until))
    # The report's own, since a run by hand may read another stretch of time than its run's. Of a report that Airflow
    # stored as text the database cannot tell.
    start, begun = (XComModel.value[name].as_string() for name in ("interval_start", "started_at"))
    since, until = _text(asked.since, -_ZONES), _text(asked.until, _ZONES)
    bounds = _conditions(SyncFilter(), func.coalesce(start, begun), since, until)
    return found.where(*_conditions(asked), or_(begun.is_(None), and_(true(), *bounds)))


def _unreported(chosen: _Select, asked: SyncFilter) -> _Select:
    column = func.coalesce(DagRun.data_interval_start, DagRun.run_after) if asked.by_interval else _RAN_AT
    found = chosen.select_from(TaskInstance).join(DagRun, _SAME_RUN)
    told = TaskInstance.state.in_(_TOLD)
    return found.where(told, _IS_SYNC, not_(_HAS_REPORT), *_conditions(asked, column, asked.since, asked.until))


def _conditions(
    asked: SyncFilter,
    column: ColumnElement[Any] = _RAN_AT,
    since: datetime | str | None = None,
    until: datetime | str | None = None,
) -> Iterator[ColumnElement[bool]]:
    for name, value in (
        (TaskInstance.dag_id, asked.dag_id),
        (TaskInstance.run_id, asked.run_id),
        (TaskInstance.task_id, asked.task_id),
        (TaskInstance.map_index, asked.map_index),
    ):
        if value is not None:
            yield name == value
    if since is not None:
        yield column >= since
    if until is not None:
        yield column < until


def _text(moment: datetime | None, distance: timedelta) -> str | None:
    """Write a time as the reports do, so that the database can compare; far enough off for any zone."""
    return None if moment is None else (moment + distance).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _begins_within(report: SyncReport, asked: SyncFilter) -> bool:
    if not asked.by_interval:
        return True
    moment = report.moment
    if moment is None:
        return False
    return (asked.since is None or moment >= asked.since) and (asked.until is None or moment < asked.until)


def _with_reports(rows: Iterator[dict[str, Any]], asked: SyncFilter) -> Iterator[dict[str, Any]]:
    for row in rows:
        report = _parsed(row.pop("value"))
        if report is not None and _begins_within(report, asked):
            yield _as_json(row) | _told(report)
            live = _live_before(report)
            if live is not None:
                yield _as_json(row) | live


def _told(report: SyncReport) -> dict[str, Any]:
    """Return what the page shows of a report, with the counts of its task instance."""
    told = {name: value for name, value in report.as_json().items() if name not in _LEFT_OUT}
    execution = report.results_path.rstrip("/").rpartition("/")[2]
    return told | shown(report) | {"again": again(report), "seconds": report.seconds, "execution": execution}


def _live_before(report: SyncReport) -> dict[str, Any] | None:
    """Return what live executions did before the dry one that a report is of.

    It took the place of theirs among the XComs.
    """
    counts = live_total(report.executions) if report.dry_run else None
    if counts is None:
        return None
    rest: dict[str, Any] = {"reject_reasons": {}, "unchanged_reasons": {}, "api_usage": None, "seconds": None}
    name = next(each["execution"] for each in reversed(report.executions) if not each["dry_run"])
    live = {"dry_run": False, "again": how_often(report.executions), "execution": name, "opens": name}
    return _told(report) | counts | rest | {"api": "", "api_reason": "", "job_ids": []} | live


def _with_earlier(row: dict[str, Any]) -> dict[str, Any]:
    """Return a task instance without a report, with what earlier live executions of it did, if there were any."""
    executions = _json_of(row.pop("value"))
    earlier = live_total(executions) if isinstance(executions, list) and are_executions(executions) else None
    return _as_json(row) | {"earlier": earlier}


def _json_of(value: object) -> object:
    # There are two ways in which Airflow stores JSON.
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _parsed(value: object) -> SyncReport | None:
    try:
        return SyncReport.from_json(_json_of(value))
    except ValueError:
        return None


def _as_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
