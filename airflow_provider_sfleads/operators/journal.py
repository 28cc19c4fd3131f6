"""What a task remembers between its tries, in Airflow's task state store.

The store survives retries, a killed worker, and also "clear" and a backfill's reprocess: it is the journal's own
``open`` that tells a retry, which goes on, from a deliberate re-run, which begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from airflow_provider_sfleads.results.folder import DRY_RUN, EXECUTION
from airflow_provider_sfleads.results.state_file import StateStore

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
        """The execution that an earlier try left open, or a new one; nothing is kept yet.

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
        """The execution that was kept last, be it open or closed; ``None`` where there is none that can be read."""
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
    """Ids of the bulk jobs of the live execution that is open, if there is one."""
    execution = Journal(store).last(dry_run=False)
    return tuple(execution.jobs.values()) if execution is not None and execution.open else ()
