"""Hand other notifiers a short message about a sync."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_provider_sfleads.core.alert import (
    TOP_CODES,
    Example,
    Occasion,
    State,
    dag_message,
    is_clean,
    task_message,
)
from airflow_provider_sfleads.core.message import Message, Section, message_of
from airflow_provider_sfleads.core.report import SyncReport
from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.notifications import callback_context

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

# Airflow ends a task's process 20 seconds after the task itself ended ([core] task_success_overtime).
_SECONDS_FOR_EXAMPLES = 5.0

_About = tuple[Message, dict[str, object] | None]


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
            about = self._about_dag(context) if callback_context.is_of_dag(context) else self._about_task(context)
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
        told = callback_context.occasion_of_task(context)
        report: SyncReport | None = None
        try:
            report = callback_context.report_of_task(context)
            if report is None and told.state is State.SUCCEEDED:
                told = replace(told, problem="It pushed no report.")
        except Exception as problem:  # noqa: BLE001 - whatever it is, the alert goes out
            told = self._despite(told, "the report", problem)
        if self.skip_clean and is_clean(told, [report] if report else []):
            return None
        examples: dict[str, Example] = {}
        try:
            examples = _examples(report)
        except Exception as problem:  # noqa: BLE001
            told = self._despite(told, "examples in the results", problem)
        return task_message(told, report, examples, salt=context["ti"].dag_id), report.as_json() if report else None

    def _about_dag(self, context: Context) -> _About | None:
        told = callback_context.occasion_of_dag(context)
        syncs: list[tuple[str, SyncReport]] = []
        for task_id in callback_context.sync_tasks(context["dag"]):
            try:
                syncs += callback_context.reports_of(task_id, context)
            except Exception as problem:  # noqa: BLE001
                told = self._despite(told, f"what {task_id} reported", problem)
        if self.skip_clean and is_clean(told, [report for _, report in syncs]):
            return None
        failed: list[str] = []
        try:
            failed = callback_context.failed_tasks(context)
        except Exception as problem:  # noqa: BLE001
            told = self._despite(told, "which tasks failed", problem)
        return dag_message(told, syncs, failed), {name: report.as_json() for name, report in syncs} or None

    def _about_nothing(self, context: Context, problem: Exception) -> _About:
        self.log.warning("The message could not be made: %s", type(problem).__name__)
        subject = f"A sync of run {context.get('run_id')} has ended, and no message could be made of it"
        lines = (f"{type(problem).__name__} in SyncReportNotifier. Look at the run in Airflow.",)
        return message_of(subject, [Section(lines=lines)]), None

    def _despite(self, told: Occasion, what: str, problem: Exception) -> Occasion:
        """Go on without something; an error in reading data may repeat data, so that only its name is told."""
        self.log.warning("The message goes out without %s, which cannot be read: %s", what, type(problem).__name__)
        return replace(told, problem=f"Not shown: {what}, which cannot be read ({type(problem).__name__}).")


def _examples(report: SyncReport | None) -> dict[str, Example]:
    if report is None or not report.rejected:
        return {}
    from airflow_provider_sfleads.results.examples import reject_examples

    top = dict(list(report.reject_reasons.items())[:TOP_CODES])
    return reject_examples(report.results_path, top, seconds=_SECONDS_FOR_EXAMPLES)


def _failure(notifier: Callable[[Context], object], context: Any) -> Exception | None:  # noqa: ANN401
    """Call a notifier; a copy, since Airflow renders its templates in place and it is called for each task."""
    try:
        copy(notifier)(context)
    except Exception as problem:  # noqa: BLE001 - the others are still to be called
        return problem
    return None
