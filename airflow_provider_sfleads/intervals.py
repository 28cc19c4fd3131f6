"""Tell which stretch of time a run reads.

Airflow 3 gives a run no usable interval more often than one would think: a bare cron string makes one of zero
width, and a run triggered without a logical date has none at all (Airflow docs, "Timetables").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import pass_context

from airflow_provider_sfleads.core.text import parse_datetime
from airflow_provider_sfleads.exceptions import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A half-open stretch of time: ``start`` is in it, ``end`` is not; both have a zone."""

    start: datetime
    end: datetime


def interval_of(context: Mapping[str, Any]) -> Interval | None:
    """Return the interval that a run is about: its Params ``from`` and ``to``, else the Dag run's data interval.

    :param context: Airflow's task context.
    :return: ``None`` where there is none, or one of zero width.
    :raises ParameterError: where the Params make no interval.
    """
    params = context.get("params") or {}
    start, end = params.get("from"), params.get("to")
    if start or end:
        return _from_params(start, end)
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    return Interval(start=start, end=end) if start and end and start < end else None


def require_interval(context: Mapping[str, Any]) -> Interval:
    """Return the interval that a run is about; for Dags that must not guess.

    :raises ParameterError: saying what to do where the run has none.
    """
    interval = interval_of(context)
    if interval is None:
        raise ParameterError(
            "This run has no stretch of time to read: it was triggered without a logical date, or its Dag has a bare "
            "cron string as schedule, whose data interval is empty in Airflow 3. Trigger it again with the Params "
            "'from' and 'to', or schedule the Dag with CronDataIntervalTimetable."
        )
    return interval


def _from_params(start: object, end: object) -> Interval:
    if not (start and end):
        raise ParameterError("The Params 'from' and 'to' go together; only one of them is given.")
    first, last = _parsed("from", start), _parsed("to", end)
    if first >= last:
        raise ParameterError(f"The Param 'from' ({first.isoformat()}) must lie before 'to' ({last.isoformat()}).")
    return Interval(start=first, end=last)


def _parsed(name: str, value: object) -> datetime:
    parsed = value if isinstance(value, datetime) else parse_datetime(str(value).strip())
    if parsed is None:
        raise ParameterError(f"The Param {name!r} is no date or date and time (ISO 8601): {value!r}")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@pass_context
def _interval_start(context: Mapping[str, Any]) -> str:
    return _required(context).start.isoformat()


@pass_context
def _interval_end(context: Mapping[str, Any]) -> str:
    return _required(context).end.isoformat()


def _required(context: Mapping[str, Any]) -> Interval:
    from airflow_provider_sfleads.hooks.permanent_errors import no_retry_for_permanent

    with no_retry_for_permanent():
        return require_interval(context)


#: For ``user_defined_macros`` of a Dag: ``{{ interval_start() }}`` and ``{{ interval_end() }}`` are the ends of the
#: interval as ISO 8601, and fail the task without retry where the run has none.
INTERVAL_MACROS = {"interval_start": _interval_start, "interval_end": _interval_end}
