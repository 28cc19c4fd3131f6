"""What a task remembers between its tries, in Airflow's task state store.

The store survives retries, a killed worker, and also "clear" and a backfill's reprocess: it is the journal's own
``open`` that tells a retry, which goes on, from a deliberate re-run, which begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from inspect import signature
from threading import Lock
from typing import Any

from airflow_provider_sfleads.results.folder import DRY_RUN, EXECUTION, JOURNAL, ResultsFolder, StateFile, StateStore
from airflow_provider_sfleads.version_compat import task_state_store

# Executions whose parts are told, the newest ones: Airflow's store takes 64 KB a value.
_MOST_TOLD = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a task: a first try and the retries that resume it.

    :param name: name of its folder.
    :param dry_run: whether it sends nothing; a live try never resumes a dry one.
    :param started_at: when its first try began, ISO 8601.
    :param tries: tries so far, this one included.
    :param api_calls: REST requests of the tries before this one.
    :param token_requests: token requests of the tries before this one.
    :param open: whether rows are unaccounted for.
    :param sends: whether any row may have been sent; only what was sent can be lost.
    :param asked: digests of the parameters that its rows were staged by, by what they decide.
    :param read: rows that the export held, once it is read to its end and the rows lie staged.
    :param first_part: number of the first part of the results that is to be there.
    :param next_part: number of the part that comes next, as last noted: all from the first one on are there.
    :param api: the API that its first try has chosen, ``None`` before that; later ones stay with it.
    :param api_reason: why.
    :param jobs: ids of its bulk jobs, by the load that each carries.
    :param earlier: executions of the task in this Dag run that came to their end before it.
    :param first_at: when the first of those began, ISO 8601.
    :param parts: of each of those, by name, what ``first_part`` and ``next_part`` are here.
    :param refresh: whether it trusts no memory of values: one that it took the place of may have written others.
    :param cleared: whether somebody cleared the task for it; a retry begins one, too, where Airflow never heard how the
        one before ended.
    :param asks_from: since when any row may have been sent, ISO 8601; where records of what was done are lost.
    :param asks_until: until when, ISO 8601: when that loss was found out.
    """

    name: str
    dry_run: bool
    started_at: str
    tries: int = 1
    api_calls: int = 0
    token_requests: int = 0
    open: bool = True
    # What an older version wrote down may have sent.
    sends: bool = True
    asked: Mapping[str, str] = field(default_factory=dict)
    read: int | None = None
    first_part: int = 0
    next_part: int = 0
    api: str | None = None
    api_reason: str = ""
    jobs: Mapping[str, str] = field(default_factory=dict)
    earlier: int = 0
    first_at: str | None = None
    parts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    cleared: bool = False
    refresh: bool = False
    asks_from: str | None = None
    asks_until: str | None = None


@dataclass(slots=True)
class Journal:
    """Keeps the execution at hand.

    Dry and live executions are kept apart: neither goes on with the other's.
    """

    store: StateStore

    def next(self, now: datetime, *, dry_run: bool, deferred: bool = False) -> Execution:
        """Return the execution that an earlier try left open, or a new one; nothing is kept yet.

        :param deferred: whether this is the same try, back from its deferral.
        """
        last = self.last(dry_run=dry_run)
        if last is not None and last.open:
            return last if deferred else replace(last, tries=last.tries + 1)
        return _new(now, dry_run=dry_run) if last is None else _following(last, now)

    def keep(self, execution: Execution) -> None:
        """Write the execution down, so that a retry goes on with it."""
        self.store.set(_key(dry_run=execution.dry_run), asdict(execution))

    def last(self, *, dry_run: bool) -> Execution | None:
        """Return the execution that was kept last, be it open or closed.

        ``None`` where there is none that can be read.
        """
        value = self.store.get(_key(dry_run=dry_run))
        if not isinstance(value, Mapping):
            return None
        # Somebody may have edited it in the UI, or another version of this provider may have written it.
        try:
            last = Execution(**value)
        except TypeError:
            return None
        return last if _is_sound(last) and last.dry_run is dry_run else None


def _new(now: datetime, *, dry_run: bool) -> Execution:
    name = now.strftime(EXECUTION) + (DRY_RUN if dry_run else "")
    return Execution(name=name, dry_run=dry_run, started_at=now.isoformat(), sends=False)


def _following(last: Execution, now: datetime) -> Execution:
    # What one execution lacked the records of, and did not come to, the next one lacks, too.
    return replace(
        _new(now, dry_run=last.dry_run),
        earlier=last.earlier + 1,
        first_at=last.first_at or last.started_at,
        parts=dict([*last.parts.items(), (last.name, [last.first_part, last.next_part])][-_MOST_TOLD:]),
        asks_from=last.asks_from,
        asks_until=last.asks_until,
    )


def _is_sound(execution: Execution) -> bool:
    numbers = (execution.tries, execution.api_calls, execution.token_requests, execution.earlier, execution.read or 0)
    if not _are_counts((*numbers, execution.first_part, execution.next_part)) or execution.tries < 1:
        return False
    flags = (execution.open, execution.sends, execution.cleared, execution.refresh)
    if type(execution.name) is not str or not execution.name or not all(type(flag) is bool for flag in flags):
        return False
    if execution.api not in (None, "collections", "bulk") or type(execution.api_reason) is not str:
        return False
    if not _are_texts(execution.jobs) or not _are_texts(execution.asked) or not _are_ranges(execution.parts):
        return False
    try:
        known = (execution.first_at, execution.asks_from, execution.asks_until)
        moments = (execution.started_at, *(moment for moment in known if moment is not None))
        return all(datetime.fromisoformat(moment).tzinfo is not None for moment in moments)
    except (TypeError, ValueError):
        return False


def _are_texts(values: object) -> bool:
    return isinstance(values, Mapping) and all(type(part) is str for entry in values.items() for part in entry)


def _are_ranges(values: object) -> bool:
    return isinstance(values, Mapping) and all(_are_counts(each) and len(each) == 2 for each in values.values())  # noqa: PLR2004


def _are_counts(values: object) -> bool:
    return isinstance(values, list | tuple) and all(type(number) is int and number >= 0 for number in values)


def _key(*, dry_run: bool) -> str:
    return "salesforce_leads_dry_run" if dry_run else "salesforce_leads"


def open_jobs(store: StateStore) -> tuple[str, ...]:
    """Return ids of the bulk jobs of the live execution that is open, if there is one."""
    execution = Journal(store).last(dry_run=False)
    return tuple(execution.jobs.values()) if execution is not None and execution.open else ()


def folder_of(context: Mapping[str, Any], *, base: str, dag_id: str, task_id: str) -> ResultsFolder:
    """Return the folder of a task, less the name of the execution."""
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


def store_of(context: Mapping[str, Any], folder: ResultsFolder, name: str = JOURNAL) -> StateStore:
    """Return where the task remembers: Airflow's task state store, or a file of a name below ``results_path``."""
    store = task_state_store(context)
    if store is None:
        return StateFile(folder, name)
    return _OneAtATime(_Lasting(store) if "retention" in signature(store.set).parameters else store)


# One for the process: what the tasks of ``Dag.test`` have for an API takes one request at a time.
_TURN = Lock()


@dataclass(frozen=True, slots=True)
class _OneAtATime:
    """A store that threads share."""

    store: StateStore

    def get(self, key: str) -> object:
        """Read a value."""
        with _TURN:
            return self.store.get(key)

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value."""
        with _TURN:
            self.store.set(key, value)


@dataclass(frozen=True, slots=True)
class _Lasting:
    """Airflow's task state store, whose entries would otherwise be gone after ``[state_store] default_retention_days``.

    A task may be cleared later than that, and creates everything again without its journal.
    """

    store: Any

    def get(self, key: str) -> object:
        """Read a value."""
        value: object = self.store.get(key)
        return value

    def set(self, key: str, value: dict[str, Any]) -> None:
        """Write a value."""
        from airflow.sdk.execution_time.context import NEVER_EXPIRE

        self.store.set(key, value, retention=NEVER_EXPIRE)


def try_number(context: Mapping[str, Any]) -> int:
    """Return the number of the task's try; it goes on counting when the task is cleared."""
    return int(getattr(context["ti"], "try_number", 1))


def was_cleared(context: Mapping[str, Any]) -> bool:
    """Return whether a try comes of clearing the task: it is not the first one, and no retry of Airflow's own.

    Clearing grants the task its retries anew, on top of the tries it had (Airflow, ``clear_task_instances``).
    """
    ti = context["ti"]
    most, retries = getattr(ti, "max_tries", None), getattr(context.get("task"), "retries", None)
    if most is None or retries is None:
        return try_number(context) > 1
    return 1 < try_number(context) <= int(most) - int(retries) + 1
