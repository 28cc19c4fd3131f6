"""Run a plan over an export: rows in, pages out ``concurrency`` at a time, every row accounted for."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event
from typing import Any, Protocol

from airflow_provider_sfleads.core.collections import PageKind
from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError, SalesforceLeadsError
from airflow_provider_sfleads.sync.lookup import LeadLookup
from airflow_provider_sfleads.sync.pages import PageSender, Result, Unsent, reason_for
from airflow_provider_sfleads.sync.plan import Candidate, Item, Plan, Seen, Settled
from airflow_provider_sfleads.sync.settling import not_sent, would

log = logging.getLogger(__name__)

# Pages that may wait for a free thread: enough that reading never starves the threads, few enough to hold.
_WAITING_PER_THREAD = 4


_Delivered = list[tuple[Settled, str | None]]
"""The rows of a page, each with the number of the request that carried it."""


class Sink(Protocol):
    """Where outcomes go."""

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome, and the original row where it is a reject."""


class Earlier(Protocol):
    """What the tries before this one settled."""

    def settled(self, key: str, *, is_duplicate: bool) -> bool:
        """Whether an earlier try settled such a row; each recorded row answers for one row read."""

    def unknown(self, key: str) -> bool:
        """Whether an earlier try sent such a row and never learned what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run is carried out.

    :param batch_size: records to a request.
    :param concurrency: requests in flight.
    :param dry_run: send no change.
    :param attempt: try number of the task.
    :param now: the clock.
    :param lead_url: a lead's address from its id.
    :param stop: set where the run is to end early.
    """

    batch_size: int
    concurrency: int
    dry_run: bool
    attempt: int
    now: Callable[[], datetime]
    lead_url: Callable[[str], str]
    stop: Event


@dataclass(slots=True, kw_only=True)
class SyncRun:
    """One run; after :meth:`execute`, the fields say how it ended.

    :param earlier: what earlier tries of the task settled.
    :param tally: the account.
    :param halted: why sending stopped early.
    :param export_error: why reading stopped early.
    """

    plan: Plan
    sender: PageSender
    lookup: LeadLookup
    seen: Seen
    sink: Sink
    settings: Settings
    earlier: Earlier | None = None
    tally: Tally = field(default_factory=Tally)
    halted: SalesforceLeadsError | None = None
    export_error: ExportError | None = None
    _waiting: list[Candidate] = field(default_factory=list)
    _pages: defaultdict[PageKind, list[Item]] = field(default_factory=lambda: defaultdict(list))
    _flying: set[Future[_Delivered]] = field(default_factory=set)

    def execute(self, rows: Iterable[Row | BadRow]) -> None:
        """Bring every row to an outcome.

        Where something that is no outcome breaks the run (a bug, a signal), what is in flight is still
        recorded and the rest of what was read becomes ``not_sent``, before the exception goes on.
        """
        with ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="salesforce") as pool:
            try:
                self._read(rows, pool)
                self._finish(pool)
            except BaseException:
                self.settings.stop.set()
                self._finish(pool)
                raise

    def _read(self, rows: Iterable[Row | BadRow], pool: ThreadPoolExecutor) -> None:
        source = iter(rows)
        while True:
            try:
                row = next(source)
            except StopIteration:
                return
            except ExportError as error:
                self.export_error = error
                return
            self._take(self.plan.take(row), pool)

    def _take(self, taken: Candidate | Settled, pool: ThreadPoolExecutor) -> None:
        outcome = taken.outcome if isinstance(taken, Settled) else Outcome(key=taken.key, action=Action.NOT_SENT)
        is_duplicate = outcome.action is Action.DUPLICATE_KEY
        if self.earlier is not None and self.earlier.settled(outcome.key, is_duplicate=is_duplicate):
            return
        if isinstance(taken, Settled):
            self._settle(taken)
            return
        if self.earlier is not None and not self.plan.repeatable and self.earlier.unknown(taken.key):
            # Sending it again could create it a second time; nothing short of a look in Salesforce can tell.
            self._leave([taken], Reason.OUTCOME_UNKNOWN)
            return
        self._waiting.append(taken)
        if len(self._waiting) >= self.plan.group_size:
            self._plan_group(pool)

    def _finish(self, pool: ThreadPoolExecutor) -> None:
        self._plan_group(pool)
        for kind in list(self._pages):
            self._submit(kind, pool)
        while self._flying:
            self._collect()

    def _plan_group(self, pool: ThreadPoolExecutor) -> None:
        group, self._waiting = self._waiting, []
        if not group:
            return
        reason = self._stop_reason()
        if reason is not None:
            self._leave(group, reason)
            return
        side_by_side = replace(self.lookup, gather=lambda functions: _gather(pool, functions))
        try:
            planned = list(self.plan.look_up(group, side_by_side, self.seen))
        except SalesforceLeadsError as error:
            self._halt(error)
            self._leave(group, reason_for(error))
            return
        for step in planned:
            if isinstance(step, Settled):
                self._settle(step)
            elif self.settings.dry_run:
                self._settle(would(step))
            else:
                self._queue(step, pool)

    def _leave(self, group: Sequence[Candidate], reason: Reason) -> None:
        for candidate in group:
            outcome = Outcome(key=candidate.key, action=Action.NOT_SENT, reason=reason, salesforce_id=candidate.lead_id)
            self._settle(Settled(outcome=outcome, row=candidate.row))

    def _queue(self, item: Item, pool: ThreadPoolExecutor) -> None:
        page = self._pages[item.kind]
        page.append(item)
        if len(page) >= self.settings.batch_size:
            self._submit(item.kind, pool)

    def _submit(self, kind: PageKind, pool: ThreadPoolExecutor) -> None:
        items = self._pages.pop(kind)
        while len(self._flying) >= self.settings.concurrency * _WAITING_PER_THREAD:
            self._collect()
        self._flying.add(pool.submit(self._deliver, kind, items))

    def _collect(self) -> None:
        done, self._flying = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            for settled, batch in future.result():
                self._settle(settled, batch)

    def _deliver(self, kind: PageKind, items: list[Item]) -> _Delivered:
        reason = self._stop_reason()
        if reason is not None:
            return [(not_sent(item, Unsent(reason=reason)), None) for item in items]
        delivery = self.sender.deliver(kind, [item.record for item in items])
        if delivery.stop is not None:
            self._halt(delivery.stop)
        return list(zip(self._settle_page(items, delivery.results), delivery.batches, strict=True))

    def _settle_page(self, items: Sequence[Item], results: Sequence[Result]) -> list[Settled]:
        try:
            return self.plan.settle(items, results, self.lookup)
        except SalesforceLeadsError as error:
            # What an error meant could not be asked: such rows are left to the task's retry.
            self._halt(error)
            open_question = Unsent(reason=reason_for(error))
            results = [
                result if isinstance(result, Unsent) or result.error is None else open_question for result in results
            ]
            return self.plan.settle(items, results, self.lookup)

    def _halt(self, error: SalesforceLeadsError) -> None:
        if self.halted is None:
            self.halted = error
            log.error("Sending stops: %s", error)

    def _stop_reason(self) -> Reason | None:
        if self.halted is not None:
            return reason_for(self.halted)
        return Reason.STOPPED if self.settings.stop.is_set() else None

    def _settle(self, settled: Settled, batch: str | None = None) -> None:
        lead_id = settled.outcome.salesforce_id
        outcome = replace(
            settled.outcome,
            api="collections" if batch else None,
            batch=batch,
            attempt=self.settings.attempt,
            finished_at=self.settings.now(),
            lead_url=self.settings.lead_url(lead_id) if lead_id else None,
        )
        self.tally.add(outcome)
        self.sink.write(outcome, settled.row if outcome.action is Action.REJECTED else None)


def _gather(pool: ThreadPoolExecutor, functions: Sequence[Callable[[], Any]]) -> list[Any]:
    futures = [pool.submit(function) for function in functions]
    return [future.result() for future in futures]
