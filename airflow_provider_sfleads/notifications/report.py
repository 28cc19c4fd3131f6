"""Hand other notifiers a short message about a sync."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_sfleads.core.alert import TOP_CODES, Example, Occasion, State, dag_message, is_clean, task_message
from airflow_provider_sfleads.core.message import Message, message_of
from airflow_provider_sfleads.core.report import SyncReport
from airflow_provider_sfleads.exceptions import ParameterError, SalesforceLeadsError
from airflow_provider_sfleads.intervals import interval_of
from airflow_provider_sfleads.version_compat import deferral_failures

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import DAG

_RETURNED = "return_value"
_STATES = {"success": State.SUCCEEDED, "up_for_retry": State.RETRIED, "skipped": State.SKIPPED}
_LOST = "Its process ended without a word: killed, out of memory, or lost with its machine."

# Airflow ends a task's process 20 seconds after the task itself ended ([core] task_success_overtime).
_SECONDS_FOR_EXAMPLES = 5.0
T = TypeVar("T")
_About = tuple[Message, dict[str, object] | None]


def occasion_of_task(context: Mapping[str, Any]) -> Occasion:
    """Return how a task ended."""
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
    """Return how a Dag run ended, which Airflow tells by a reason only."""
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
    """Return what the task has pushed; ``None`` where it came to no report.

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
    """Return what may be shown of an error: our own messages name no person, what others say is for the log."""
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowTaskTimeout, redact

    if error is None:
        return _LOST
    kind = type(error).__name__
    _, timed_out = deferral_failures()
    if isinstance(error, (SalesforceLeadsError, AirflowNotFoundException, AirflowTaskTimeout, timed_out)):
        return f"{kind}: {redact(str(error))}"
    return f"{kind}; what it says is in the log."


class SyncReportNotifier(BaseNotifier):
    """Tells other notifiers what a lead sync came to: what came in, what changed, what was refused, what to do.

    A callback of tasks (``on_success_callback``, ``on_failure_callback``, ``on_retry_callback``) and of Dags
    (``on_success_callback``, ``on_failure_callback``); a Dag's message has a line for each of the run's sync tasks.
    The notifiers' templates find in the context:

    - ``sync_message``: plain text of at most 3,000 characters without markup;
    - ``sync_subject``: its first line, of at most 150 characters;
    - ``sync_html``: the same as HTML;
    - ``sync_report``: the report, a dict; of a Dag, a dict of them by task; ``None`` where there is none.

    :param notifiers: Airflow notifiers, or other callables that take a context; each is called, whatever becomes of
        the others.
    :param skip_clean: say nothing of a success in which no row was rejected or left unsent.
    """

    def __init__(
        self, *notifiers: Callable[[Context], object], skip_clean: bool = False, context: Context | None = None
    ) -> None:
        super().__init__(context=context)
        self.notifiers: Sequence[Callable[[Context], object]] = notifiers
        self.skip_clean = skip_clean
        if not notifiers:
            raise ParameterError("SyncReportNotifier needs a notifier to hand its message to.")

    def notify(self, context: Context) -> None:
        """Send the message; an Airflow callback that raises fails nothing and is logged.

        :raises Exception: what the notifiers raised, after all of them were called.
        """
        try:
            # Only a Dag's callback is given a reason.
            about = self._about_dag(context) if "reason" in context else self._about_task(context)
        except Exception as problem:  # noqa: BLE001 - a mistake in here must not keep an alert back
            about = self._about_nothing(context, problem)
        if about is None:
            return
        message, report = about
        told: Any = {
            **context,
            "sync_message": message.text,
            "sync_subject": message.subject,
            "sync_html": message.html,
            "sync_report": report,
        }
        failures = [failure for notifier in self.notifiers if (failure := _failure(notifier, told)) is not None]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup(f"{len(failures)} of {len(self.notifiers)} notifiers failed", failures)

    def _about_task(self, context: Context) -> _About | None:
        told, report = self._tried(occasion_of_task(context), "the report", partial(report_of_task, context))
        if report is None and told.problem is None and told.state is State.SUCCEEDED:
            told = replace(told, problem="It pushed no report.")
        if self.skip_clean and is_clean(told, [report] if report else []):
            return None
        told, examples = self._tried(told, "examples in the results", partial(_examples, report))
        message = task_message(told, report, examples or {}, salt=context["ti"].dag_id)
        return message, report.as_json() if report else None

    def _about_dag(self, context: Context) -> _About | None:
        told = occasion_of_dag(context)
        syncs: list[tuple[str, SyncReport]] = []
        for task_id in sync_tasks(context["dag"]):
            add = partial(syncs.extend, reports_of(task_id, context))
            told, _ = self._tried(told, f"what {task_id} reported", add)
        if self.skip_clean and is_clean(told, [report for _, report in syncs]):
            return None
        told, failed = self._tried(told, "which tasks failed", partial(failed_tasks, context))
        return dag_message(told, syncs, failed or []), {name: report.as_json() for name, report in syncs} or None

    def _about_nothing(self, context: Context, problem: Exception) -> _About:
        self.log.warning("The message could not be made: %s", type(problem).__name__)
        subject = f"A sync of run {context.get('run_id')} has ended, and no message could be made of it"
        lines = (f"{type(problem).__name__} in SyncReportNotifier. Look at the run in Airflow.",)
        return message_of(subject, [("", lines)]), None

    def _tried(self, told: Occasion, what: str, read: Callable[[], T]) -> tuple[Occasion, T | None]:
        """Read something, or go on without it: whatever is wrong, the alert goes out.

        An error in reading data may repeat data, so that only its name is told.

        :return: what is told, with the problem if there was one, and what was read, ``None`` where that failed.
        """
        try:
            return told, read()
        except Exception as problem:  # noqa: BLE001
            name = type(problem).__name__
            self.log.warning("The message goes out without %s, which cannot be read: %s", what, name)
            return replace(told, problem=f"Not shown: {what}, which cannot be read ({name})."), None


def _examples(report: SyncReport | None) -> dict[str, Example]:
    if report is None or not report.rejected:
        return {}
    from airflow_provider_sfleads.results.recorded import reject_examples

    top = dict(list(report.reject_reasons.items())[:TOP_CODES])
    return reject_examples(report.results_path, top, seconds=_SECONDS_FOR_EXAMPLES)


def _failure(notifier: Callable[[Context], object], context: Any) -> Exception | None:  # noqa: ANN401
    """Call a notifier; a copy, since Airflow renders its templates in place and it is called for each task."""
    try:
        copy(notifier)(context)
    except Exception as problem:  # noqa: BLE001 - the others are still to be called
        return problem
    return None
