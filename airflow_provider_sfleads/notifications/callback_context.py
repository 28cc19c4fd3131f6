"""Read from the context of an Airflow callback how a task or a Dag run ended, and what its syncs reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_sfleads.core.alert import Occasion, State
from airflow_provider_sfleads.core.report import SyncReport
from airflow_provider_sfleads.exceptions import ParameterError, SalesforceLeadsError
from airflow_provider_sfleads.intervals import interval_of
from airflow_provider_sfleads.version_compat import deferral_failures

if TYPE_CHECKING:
    from airflow.sdk import DAG

_RETURNED = "return_value"
_STATES = {"success": State.SUCCEEDED, "up_for_retry": State.RETRIED, "skipped": State.SKIPPED}
_LOST = "Its process ended without a word: killed, out of memory, or lost with its machine."


def is_of_dag(context: Mapping[str, Any]) -> bool:
    """Whether a context is that of a Dag's callback and not of a task's: only that one has a reason."""
    return "reason" in context


def occasion_of_task(context: Mapping[str, Any]) -> Occasion:
    """How a task ended."""
    ti = context["ti"]
    state = _state(ti)
    return Occasion(
        name=f"{ti.dag_id}.{task_name(ti.task_id, _map_index(ti))}",
        run_id=ti.run_id,
        state=state,
        attempt=getattr(ti, "try_number", None),
        dry_run=_is_dry_run(context.get("task")),
        interval=_interval(context),
        error=_error(context.get("exception")) if state in (State.FAILED, State.RETRIED) else None,
        log_url=getattr(ti, "log_url", None),
    )


def occasion_of_dag(context: Mapping[str, Any]) -> Occasion:
    """How a Dag run ended, which Airflow tells by a reason only."""
    from airflow.providers.common.compat.sdk import conf

    dag_id, run_id, reason = context["dag"].dag_id, str(context["run_id"]), str(context["reason"])
    base = conf.get("api", "base_url", fallback="http://localhost:8080/").rstrip("/")
    return Occasion(
        name=dag_id,
        run_id=run_id,
        state=State.SUCCEEDED if reason == "success" else State.FAILED,
        interval=_interval(context),
        error=None if reason == "success" else f"Airflow's reason: {reason}.",
        log_url=f"{base}/dags/{dag_id}/runs/{quote(run_id)}",
    )


def failed_tasks(context: Mapping[str, Any]) -> list[str]:
    """Return the names of a Dag run's failed tasks, as Airflow has them: those of mapped ones end in their index.

    :param context: of a Dag's callback.
    """
    if "ti" not in context:
        return []
    run_id = str(context["run_id"])
    states = context["ti"].get_task_states(dag_id=context["dag"].dag_id, run_ids=[run_id])
    return [name for name, state in states.get(run_id, {}).items() if state == "failed"]


def report_of_task(context: Mapping[str, Any]) -> SyncReport | None:
    """What the task has pushed; ``None`` where it came to no report.

    :raises ValueError: where it pushed something else.
    """
    ti = context["ti"]
    value = ti.xcom_pull(key=_RETURNED, map_indexes=_map_index(ti))
    return None if value is None else SyncReport.from_json(value)


def sync_tasks(dag: DAG) -> Iterator[str]:
    """Yield the ids of a Dag's sync tasks, in its order."""
    from airflow_provider_sfleads.operators.base import LeadSyncOperator

    for task in dag.tasks:
        kind = getattr(task, "operator_class", None) if task.is_mapped else type(task)
        if isinstance(kind, type) and issubclass(kind, LeadSyncOperator):
            yield task.task_id


def reports_of(task_id: str, context: Mapping[str, Any]) -> Iterator[tuple[str, SyncReport]]:
    """Yield what a sync task of the Dag run has pushed, with its name; one of each index where it is mapped.

    :param context: of a Dag's callback.
    :raises ValueError: where it pushed something else.
    """
    from airflow.providers.common.compat.sdk import XCom

    names = {"dag_id": context["dag"].dag_id, "run_id": str(context["run_id"]), "task_id": task_id}
    for value in XCom.get_all(key=_RETURNED, **names) or ():
        report = SyncReport.from_json(value)
        # XComs of a mapped task come without their indexes; the results lie below them.
        yield task_name(task_id, report.results_path.rstrip("/").split("/")[-2]), report


def task_name(task_id: str, map_index: int | str) -> str:
    """Name a task, with its index where it is mapped."""
    return task_id if str(map_index) == "-1" else f"{task_id}[{map_index}]"


def _state(ti: Any) -> State:  # noqa: ANN401 - Airflow has several classes of it
    found = getattr(ti, "state", None)
    if found is not None:
        return _STATES.get(getattr(found, "value", found), State.FAILED)
    # It was not the task's process that ended it; Airflow's scheduler decides so on another try.
    return State.RETRIED if 0 < ti.max_tries >= ti.try_number else State.FAILED


def _map_index(ti: Any) -> int:  # noqa: ANN401 - Airflow has several classes of it
    found = getattr(ti, "map_index", None)
    return -1 if found is None else int(found)


def _is_dry_run(task: object) -> bool | None:
    from airflow_provider_sfleads.operators.parameters import as_flag

    with suppress(ParameterError):
        # A template that was never rendered does not tell.
        return as_flag("dry_run", getattr(task, "dry_run", None))
    return None


def _interval(context: Mapping[str, Any]) -> tuple[str, str] | None:
    try:
        interval = interval_of(context)
    except ParameterError:
        return None
    return (interval.start.isoformat(), interval.end.isoformat()) if interval else None


def _error(error: object) -> str:
    """What may be shown of an error: our own messages name no person, what others say is for the log."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowTaskTimeout, redact

    if error is None:
        return _LOST
    kind = type(error).__name__
    _, timed_out = deferral_failures()
    if isinstance(error, (SalesforceLeadsError, AirflowNotFoundException, AirflowTaskTimeout, timed_out)):
        return f"{kind}: {redact(str(error))}"
    return f"{kind}; what it says is in the log."
