"""Run a plan over an export: rows in, pages out ``concurrency`` at a time, every row accounted for."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_sfleads.core.collections import PageKind
from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError, SalesforceLeadsError
from airflow_provider_sfleads.sync.lookup import LeadLookup
from airflow_provider_sfleads.sync.pages import PageSender, Unsent, reason_for
from airflow_provider_sfleads.sync.plan import Candidate, Item, Later, Plan, Seen, Settled, unchanged
from airflow_provider_sfleads.sync.ports import Confirmed, Earlier, Settings, Sink
from airflow_provider_sfleads.sync.settling import not_sent, would

log = logging.getLogger(__name__)

# Pages that may wait for a free thread: enough that reading never starves the threads, few enough to hold.
_WAITING_PER_THREAD = 4
# A page that waited longer for a free thread is looked up anew, where it matters how its leads stand.
_FRESH = timedelta(seconds=10)


_Line = tuple[Settled, str | None]
"""A row whose outcome is known, with the number of the request that carried it."""


@dataclass(slots=True, kw_only=True)
class SyncRun:
    """One run; after :meth:`execute`, the fields say how it ended.

    :param earlier: what was done before.
    :param announce: makes durable which rows are about to be sent, for plans that may not send them twice.
    :param confirmed: what needs no call, since it has not changed.
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
    announce: Callable[[Sequence[str]], None] | None = None
    confirmed: Confirmed | None = None
    tally: Tally = field(default_factory=Tally)
    halted: SalesforceLeadsError | None = None
    export_error: ExportError | None = None
    # A row is in exactly one of these until it is settled, so that none is lost wherever an exception strikes.
    _waiting: list[Candidate] = field(default_factory=list)
    _planned: deque[Item | Settled | Later] = field(default_factory=deque)
    _later: list[Candidate] = field(default_factory=list)
    _pages: defaultdict[PageKind, list[Item]] = field(default_factory=lambda: defaultdict(list))
    _flying: dict[Future[list[_Line]], list[Item]] = field(default_factory=dict)
    _landed: deque[_Line] = field(default_factory=deque)

    def execute(self, rows: Iterable[Row | BadRow | Candidate]) -> None:
        """Bring every row to an outcome; of a candidate, the export's own decisions are made already.

        Where something that is no outcome breaks the run (a bug, a signal), what is in flight is still
        recorded and the rest of what was read becomes ``not_sent``, before the exception goes on.
        """
        with ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="salesforce") as pool:
            try:
                self._read(rows, pool)
                self._finish(pool)
            except BaseException:
                self._wind_up(pool)
                raise

    def _wind_up(self, pool: ThreadPoolExecutor) -> None:
        """Record what can be recorded; another exception on the way there does not end it."""
        self.settings.stop.set()
        while True:
            before = self._open_rows()
            try:
                self._finish(pool)
            except BaseException:
                log.exception("While the run was wound up:")
            if self._open_rows() in (0, before):
                return

    def _open_rows(self) -> int:
        in_pages = sum(len(items) for items in (*self._pages.values(), *self._flying.values()))
        return in_pages + len(self._waiting) + len(self._planned) + len(self._later) + len(self._landed)

    def _read(self, rows: Iterable[Row | BadRow | Candidate], pool: ThreadPoolExecutor) -> None:
        source = iter(rows)
        while True:
            try:
                row = next(source)
            except StopIteration:
                return
            except ExportError as error:
                self.export_error = error
                return
            self._take(self._decide(row), pool)

    def _decide(self, row: Row | BadRow | Candidate) -> Candidate | Settled:
        if isinstance(row, Candidate):
            return row
        try:
            return self.plan.take(row)
        except BaseException:
            # Read, and so accounted for, though nobody can say more of it.
            values = row.values if isinstance(row, BadRow) else row
            lost = Outcome(key=self.plan.key_of(row), action=Action.NOT_SENT, reason=Reason.STOPPED)
            self._landed.append((Settled(outcome=lost, row=values), None))
            raise

    def _take(self, taken: Candidate | Settled, pool: ThreadPoolExecutor) -> None:
        known = self._known_before(taken)
        if known is not None:
            self._land(known)
            return
        if isinstance(taken, Candidate):
            self._waiting.append(taken)
            if len(self._waiting) >= self.plan.group_size:
                self._plan_group(pool)

    def _known_before(self, taken: Candidate | Settled) -> list[_Line] | None:
        """The lines of a row that needs no look-up: none for one that an earlier try recorded already."""
        outcome = taken.outcome if isinstance(taken, Settled) else Outcome(key=taken.key, action=Action.NOT_SENT)
        if self.earlier is not None and self.earlier.settled(outcome):
            return []
        if isinstance(taken, Settled):
            return [(taken, None)]
        lead_id = self._same_as_confirmed(taken)
        return (
            None if lead_id is None else [(unchanged(taken, Reason.SAME_VALUES, salesforce_id=lead_id or None), None)]
        )

    def _sent_before(self, item: Item) -> list[_Line] | None:
        """The line of a row that may not be sent, since that could create its lead a second time."""
        if self.earlier is None or self.plan.repeatable or item.expected is not Action.CREATED:
            return None
        lead_id = self.earlier.created(item.candidate.key)
        if lead_id is not None:
            return [(unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id), None)]
        return _left([item.candidate], Reason.OUTCOME_UNKNOWN) if self.earlier.unknown(item.candidate.key) else None

    def _same_as_confirmed(self, candidate: Candidate) -> str | None:
        if self.confirmed is None:
            return None
        return self.confirmed.same(candidate.key, candidate.lead_id, candidate.record)

    def _finish(self, pool: ThreadPoolExecutor) -> None:
        self._land_all(pool)
        while self._later:
            self.plan.next_pass()
            self._waiting, self._later = self._later, []
            self._land_all(pool)

    def _land_all(self, pool: ThreadPoolExecutor) -> None:
        self._settle_landed()
        self._route(pool)
        self._plan_group(pool)
        self._flush(pool)
        while self._flying:
            self._collect()

    def _plan_group(self, pool: ThreadPoolExecutor) -> None:
        reason = self._stop_reason()
        if reason is None and self._waiting:
            side_by_side = replace(self.lookup, gather=lambda functions: _gather(pool, functions))
            try:
                self._planned.extend(list(self.plan.look_up(self._waiting, side_by_side, self.seen)))
            except SalesforceLeadsError as error:
                self._halt(error)
                reason = reason_for(error)
        if reason is not None:
            self._landed.extend(_left(self._waiting, reason))
        self._waiting = []
        self._settle_landed()
        self._route(pool)
        if self.plan.fresh:
            self._flush(pool)

    def _route(self, pool: ThreadPoolExecutor) -> None:
        while self._planned:
            step = self._planned.popleft()
            if isinstance(step, Settled):
                self._land([(step, None)])
            elif isinstance(step, Later):
                self._later.append(step.candidate)
            elif (known := self._sent_before(step)) is not None:
                self._land(known)
            elif self.settings.dry_run:
                self._land([(would(step), None)])
            else:
                self._pages[step.kind].append(step)
                if len(self._pages[step.kind]) >= self.settings.batch_size:
                    self._submit(step.kind, pool)

    def _flush(self, pool: ThreadPoolExecutor) -> None:
        for kind in list(self._pages):
            self._submit(kind, pool)

    def _submit(self, kind: PageKind, pool: ThreadPoolExecutor) -> None:
        while len(self._flying) >= self.settings.concurrency * _WAITING_PER_THREAD:
            self._collect()
        items = self._pages[kind]
        self._flying[pool.submit(self._deliver, kind, items, self.settings.now())] = items
        del self._pages[kind]

    def _collect(self) -> None:
        broken: BaseException | None = None
        done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            broken = broken or future.exception()
            items = self._flying.pop(future)
            unknown = Unsent(reason=Reason.OUTCOME_UNKNOWN)
            lines = [(not_sent(item, unknown), None) for item in items] if future.exception() else future.result()
            self._landed.extend(lines)
        self._settle_landed()
        if broken is not None:
            raise broken

    def _deliver(self, kind: PageKind, items: list[Item], looked_up: datetime) -> list[_Line]:
        reason = self._stop_reason()
        if reason is not None:
            return [(not_sent(item, Unsent(reason=reason)), None) for item in items]
        if self.announce is not None and not kind.repeatable:
            self.announce([item.candidate.key for item in items])

        def recheck(positions: Sequence[int]) -> Mapping[int, Outcome]:
            found = self.plan.recheck([items[position] for position in positions], self.lookup)
            return {positions[place]: outcome for place, outcome in found.items()}

        is_stale = self.plan.fresh and self.settings.now() - looked_up > _FRESH
        delivery = self.sender.deliver(kind, [item.record for item in items], recheck, recheck_first=is_stale)
        if delivery.stop is not None:
            self._halt(delivery.stop)
        try:
            settled = self.plan.settle(items, delivery.results, self.lookup)
        except SalesforceLeadsError as error:
            self._halt(error)
            settled = self.plan.settle(items, delivery.results, None)
        return list(zip(settled, delivery.batches, strict=True))

    def _halt(self, error: SalesforceLeadsError) -> None:
        if self.halted is None:
            self.halted = error
            log.error("Sending stops: %s", error)

    def _stop_reason(self) -> Reason | None:
        if self.halted is not None:
            return reason_for(self.halted)
        return Reason.STOPPED if self.settings.stop.is_set() else None

    def _land(self, lines: list[_Line]) -> None:
        self._landed.extend(lines)
        self._settle_landed()

    def _settle_landed(self) -> None:
        while self._landed:
            settled, batch = self._landed[0]
            outcome = replace(settled.outcome, api="collections" if batch else None, batch=batch).stamped(
                attempt=self.settings.attempt, moment=self.settings.now(), lead_url=self.settings.lead_url
            )
            self.sink.write(outcome, settled.row if outcome.action is Action.REJECTED else None)
            self.tally.add(outcome)
            self._landed.popleft()


def _left(group: Sequence[Candidate], reason: Reason) -> list[_Line]:
    """The lines of candidates that are not sent."""
    outcomes = [
        Outcome(key=candidate.key, action=Action.NOT_SENT, reason=reason, salesforce_id=candidate.lead_id)
        for candidate in group
    ]
    return [
        (Settled(outcome=outcome, row=candidate.row), None) for outcome, candidate in zip(outcomes, group, strict=True)
    ]


def _gather(pool: ThreadPoolExecutor, functions: Sequence[Callable[[], Any]]) -> list[Any]:
    futures = [pool.submit(function) for function in functions]
    return [future.result() for future in futures]
