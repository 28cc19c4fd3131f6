"""Where a task remembers what it did, and what it has lost of that."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_sfleads.operators.journal import Execution, Store
from airflow_provider_sfleads.results import ResultsFolder
from airflow_provider_sfleads.results.state_file import StateFile

# Clearing a Dag run resets its start; a run is never carried out before the other moments.
_MOMENTS = ("start_date", "queued_at", "run_after", "logical_date")


def folder_of(context: Mapping[str, Any], *, base: str, dag_id: str, task_id: str) -> ResultsFolder:
    """The folder of a task, less the name of the execution."""
    ti, dag_run = context["ti"], context.get("dag_run")
    map_index = getattr(ti, "map_index", None)
    return ResultsFolder(
        base=base,
        dag_id=getattr(ti, "dag_id", None) or dag_id,
        run_id=getattr(ti, "run_id", None) or getattr(dag_run, "run_id", None) or "no_run",
        task_id=getattr(ti, "task_id", None) or task_id,
        map_index=-1 if map_index is None else map_index,
        execution="_",
    )


def store_of(context: Mapping[str, Any], folder: ResultsFolder) -> Store:
    """Where the task remembers: Airflow's task state store, or else a file below ``results_path``."""
    store: Store | None = context.get("task_state_store")
    return StateFile(folder) if store is None else store


def try_number(context: Mapping[str, Any]) -> int:
    """Number of the task's try; it goes on counting when the task is cleared."""
    return int(getattr(context["ti"], "try_number", 1))


def lost_since(
    last: Execution | None,
    execution: Execution,
    folder: ResultsFolder,
    context: Mapping[str, Any],
    *,
    deferred: bool,
) -> str | None:
    """From when on rows may have been sent of which no record is left, ISO 8601; ``None`` where nothing is lost.

    :param last: what the journal held.
    :param execution: the live execution that goes on, or begins.
    :param folder: its folder.
    :param deferred: whether this try was deferred before.
    """
    if last is not None:
        is_gone = last.open and not folder.exists
        are_fewer = _others(folder) < execution.earlier
        return (execution.first_at or execution.started_at) if is_gone or are_fewer else None
    # A try that was deferred has kept its execution. So has each that came to the point of sending; but where Airflow
    # has no store for it, the journal lies beside the records and is lost with them.
    may_be_gone = context.get("task_state_store") is None and try_number(context) > 1 and not _others(folder)
    return _beginning(context).isoformat() if deferred or may_be_gone else None


def _others(folder: ResultsFolder) -> int:
    return sum(1 for _ in folder.others())


def _beginning(context: Mapping[str, Any]) -> datetime:
    """A moment before which the Dag run has done nothing."""
    run = context.get("dag_run")
    moments: list[datetime | None] = [getattr(run, name, None) for name in _MOMENTS]
    return min([datetime.now(UTC), *(moment for moment in moments if moment is not None)])
