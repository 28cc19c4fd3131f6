"""What differs between the supported versions of Airflow, 3.1 to 3.3; no other module asks for it.

Each piece goes by what Airflow has, and only for its UI, which cannot be asked, by its number.
``docs/versions.md`` tells users what an older one lacks.
Imports are those of a Dag file: what only a running task, the triggerer or the API server needs comes when it is used.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow import sdk

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_sfleads.results.folder import StateStore

#: Whether Airflow asks a task's retry policy when to try again (3.3).
HAS_RETRY_POLICIES = hasattr(sdk, "RetryPolicy")
# What Airflow 3.3 gives a trigger's `on_kill` by default.
_ON_KILL_SECONDS = 30.0
_log = logging.getLogger(__name__)


def script_address(path: str) -> str:
    """Return how the UI finds the script of a React page.

    From 3.3 on it looks from Airflow's own address, before that from its own script, two folders below.

    :param path: below Airflow's address, which may itself be below some path.
    """
    from airflow import __version__

    is_newer = tuple(map(int, __version__.split(".")[:2])) >= (3, 3)
    return path if is_newer else f"../../{path}"


def task_state_store(context: Mapping[str, Any]) -> StateStore | None:
    """Return Airflow's task state store (3.3), or ``None``.

    :param context: the task's.
    """
    store: StateStore | None = context.get("task_state_store")
    return store


async def amask_secret(secret: str) -> None:
    """Mask a secret in the triggerer's logs; 3.3's function of this name does so without a thread.

    :param secret: a text that must not be seen.
    """
    from airflow.sdk import log

    own = getattr(log, "amask_secret", None)
    if own is not None:
        await own(secret)
        return
    from asgiref.sync import sync_to_async

    # A thread of asgiref's: Airflow sends the mask on by the loop that this one waits in.
    await sync_to_async(log.mask_secret)(secret)


def deferral_failures() -> tuple[type[Exception], ...]:
    """Return the errors by which Airflow resumes a task whose trigger timed out or failed."""
    try:
        from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout
    except ImportError:  # 3.1
        from airflow.exceptions import TaskDeferralError, TaskDeferralTimeout  # type: ignore[no-redef]
    return TaskDeferralError, TaskDeferralTimeout


def form_widgets(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a connection's extra fields for the form of Airflow 3.1, which reads no ``conn-fields``.

    :param fields: ``conn-fields`` of a provider's metadata. An object is entered as text there.
    :raises ImportError: without WTForms, which comes with the FAB provider; Airflow then shows its plain form.
    """
    from wtforms import BooleanField, PasswordField, StringField, validators

    def widget(field: Mapping[str, Any]) -> Any:  # noqa: ANN401 - WTForms has no types
        schema = field["schema"]
        kind = BooleanField if "boolean" in schema["type"] else StringField
        choice = [validators.any_of(schema["enum"])] if "enum" in schema else []
        return (PasswordField if schema.get("format") == "password" else kind)(
            field["label"],
            validators=[validators.Optional(), *choice],
            description=field.get("description", ""),
            default=schema.get("default"),
        )

    return {name: widget(field) for name, field in fields.items()}


async def call_on_kill(trigger: BaseTrigger) -> None:
    """Call the ``on_kill`` of a trigger that is cancelled, where Airflow does not do so itself (below 3.3).

    As in 3.3 it is called where somebody marked or cleared the task, and not where the triggerer stops: then the task
    is still deferred. Below 3.3 a trigger is cancelled once a second until it has ended; this waits regardless, for as
    long as 3.3 would.

    :param trigger: from within its ``run``, after ``asyncio.CancelledError``.
    """
    from airflow.triggers import base

    if not hasattr(base.BaseTrigger, "on_kill"):
        await _finished_despite_cancels(_kill(trigger), seconds=_ON_KILL_SECONDS)


async def _kill(trigger: Any) -> None:  # noqa: ANN401 - `on_kill` is no part of what triggers have
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from asgiref.sync import sync_to_async

    ti = trigger.task_instance
    found = await sync_to_async(RuntimeTaskInstance.get_task_states)(
        dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
    )
    if "deferred" not in found.get(ti.run_id, {}).values():
        await trigger.on_kill()


async def _finished_despite_cancels(work: Awaitable[None], *, seconds: float) -> None:
    """Finish some work, whoever cancels this task meanwhile."""
    loop = asyncio.get_running_loop()
    task, end = asyncio.ensure_future(work), loop.time() + seconds
    while not task.done() and (left := end - loop.time()) > 0:
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task}, timeout=left)
    if not task.done():
        task.cancel()
        _log.warning("What has to be done when a task is ended by hand took more than %d seconds", seconds)
    elif error := task.exception():
        _log.warning("What has to be done when a task is ended by hand was not: %s", error)
