"""Run a plan over staged rows: rows in, pages out ``concurrency`` at a time, every row accounted for."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import InitVar, dataclass, field, replace
from datetime import datetime
from itertools import islice

from airflow_provider_sfleads.core.outcome import Action, Reason, UnansweredSend
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.exceptions import DisownedError, SalesforceLeadsError
from airflow_provider_sfleads.pipeline.lookup import LeadLookup, side_by_side
from airflow_provider_sfleads.pipeline.page import PageItems, is_stale
from airflow_provider_sfleads.pipeline.page_sender import PageSender
from airflow_provider_sfleads.pipeline.plan import (
    UNKNOWN,
    Candidate,
    Deferred,
    Item,
    Plan,
    Seen,
    Settled,
    Unsent,
    left,
    not_sent,
    reason_for,
    unchanged,
    would,
)
from airflow_provider_sfleads.pipeline.ports import Newer, Settings, Sink
from airflow_provider_sfleads.pipeline.reconcile import GROUP, Before, Reconciliation, UnansweredRow
from airflow_provider_sfleads.salesforce.collections import PageKind

Line = tuple[Settled | Item, str | None]
"""A row whose outcome is known, or what is to be sent of it instead, with the number of the request that carried it."""

# Pages that may wait for a free thread: enough that reading never starves the threads, few enough to hold.
_WAITING_PER_THREAD = 4


def _unknown(items: Sequence[Item]) -> list[Line]:
    return [(not_sent(item, UNKNOWN), None) for item in items]


@dataclass(slots=True, kw_only=True)
class PagesInFlight:
    """The pages of one run.

    :param batch_size: items to a page.
    :param concurrency: threads that carry them.
    :param deliver: brings a page to Salesforce, in a thread, and says what became of each item; told since when the
        page waits.
    :param land: takes what became of a page.
    :param now: the clock.
    """

    batch_size: int
    concurrency: int
    deliver: Callable[[PageKind, list[Item], datetime], list[Line]]
    land: Callable[[Sequence[Item], Sequence[Line]], None]
    now: Callable[[], datetime]
    _pages: defaultdict[PageKind, list[Item]] = field(default_factory=lambda: defaultdict(list))
    _flying: dict[Future[list[Line]], list[Item]] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        """Items that have not landed."""
        return sum(map(len, (*self._pages.values(), *self._flying.values())))

    def add(self, item: Item, pool: Executor) -> None:
        """Put an item on the page of its kind; a full page leaves."""
        self._pages[item.kind].append(item)
        if len(self._pages[item.kind]) >= self.batch_size:
            self._submit(item.kind, pool)

    def flush(self, pool: Executor) -> None:
        """Let all pages leave."""
        for kind in list(self._pages):
            self._submit(kind, pool)

    def _submit(self, kind: PageKind, pool: Executor) -> None:
        items = self._pages[kind]
        # A page comes here once more where an interruption strikes behind this.
        if not any(flying is items for flying in self._flying.values()):
            if len(self._flying) >= self.concurrency * _WAITING_PER_THREAD or any(page.done() for page in self._flying):
                self.collect()
            self._flying[pool.submit(self._carry, kind, items, self.now())] = items
        del self._pages[kind]

    def _carry(self, kind: PageKind, items: list[Item], since: datetime) -> list[Line]:
        if id(items) in self._begun:
            # An interruption struck before the page was known to be on its way: nobody hears what became of it.
            return _unknown(items)
        self._begun.add(id(items))
        return self.deliver(kind, items, since)

    def collect_all(self) -> None:
        """Wait until all pages have landed."""
        while self._flying:
            self.collect()

    def collect(self) -> None:
        """Wait until a page has landed."""
        broken: BaseException | None = None
        done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        for future in done:
            broken = broken or future.exception()
            items = self._flying.pop(future)
            self._begun.discard(id(items))
            self.land(items, _unknown(items) if future.exception() else future.result())
        if broken is not None:
            raise broken


log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class SyncRun:
    """One run; after :meth:`execute`, the fields say how it ended.

    :param before: what was done before.
    :param announce: makes durable which new leads are about to be sent.
    :param newer: finds rows that a newer run has brought up to date, right before a page is sent.
    :param doubts: finds out about rows of these plans that were sent without an answer.
    :param tally: the account.
    :param halted: why sending stopped early.
    :param planned: what is to be sent, whatever a look-up would say.
    :param doubtful: rows that got no answer and may not simply be sent again.
    """

    plan: Plan
    sender: PageSender
    lookup: LeadLookup
    seen: Seen
    sink: Sink
    settings: Settings
    before: Before = field(default_factory=Before)
    announce: Callable[[Sequence[Item]], None] | None = None
    newer: Newer | None = None
    doubts: Reconciliation = field(default_factory=Reconciliation)
    tally: Tally = field(default_factory=Tally)
    halted: SalesforceLeadsError | None = None
    planned: InitVar[Iterable[Item]] = ()
    doubtful: InitVar[Iterable[UnansweredRow]] = ()
    # A row is in exactly one of these until it is settled, so that none is lost wherever an exception strikes.
    _waiting: list[Candidate] = field(default_factory=list)
    _planned: deque[Item | Settled | Deferred] = field(default_factory=deque)
    _later: list[Candidate] = field(default_factory=list)
    _flights: PagesInFlight = field(init=False)
    _doubtful: deque[UnansweredRow] = field(default_factory=deque)
    _landed: deque[tuple[Settled, str | None]] = field(default_factory=deque)
    _is_read: bool = False
    _looked_up: datetime = field(init=False)

    def __post_init__(self, planned: Iterable[Item], doubtful: Iterable[UnansweredRow]) -> None:
        """No page is on its way yet."""
        self._looked_up = self.settings.server_now()
        self._planned.extend(planned)
        self._doubtful.extend(doubtful)
        self._flights = PagesInFlight(
            batch_size=self.settings.batch_size,
            concurrency=self.settings.concurrency,
            deliver=self._deliver,
            land=self._take_landed,
            # Also of a page that waits for room, not only for a thread.
            now=lambda: self._looked_up,
        )

    def execute(self, rows: Iterable[Candidate]) -> None:
        """Bring every row to an outcome.

        Where something that is no outcome breaks the run (a bug, a signal), what is in flight is still
        recorded and the rest of what was read becomes ``not_sent``, before the exception goes on.
        """
        with ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="salesforce") as pool:
            try:
                self._read(rows, pool)
                self._is_read = True
                self._finish(pool)
            except DisownedError:
                # What is in flight is the newer try's to find out about.
                self.settings.stop.set()
                raise
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
        queues: list[Sized] = [self._waiting, self._planned, self._later, self._flights, self._doubtful, self._landed]
        return sum(map(len, queues))

    def _read(self, rows: Iterable[Candidate], pool: ThreadPoolExecutor) -> None:
        for row in rows:
            if self.before.settles(row):
                continue
            self._waiting.append(row.doubted(self.before.doubt(row.key)))
            if len(self._waiting) >= self.plan.group_size:
                self._plan_group(pool)

    def _is_repeatable(self, item: Item) -> bool:
        return self.plan.repeatable or item.expected is not Action.CREATED

    def _finish(self, pool: ThreadPoolExecutor) -> None:
        self._land_all(pool)
        self._resolve_all(pool)
        while self._later:
            self.plan.next_pass()
            self._waiting, self._later = self._later, []
            if self.doubts.are_open:
                # One of them may share its e-mail address with a lead that still comes.
                self._leave(Reason.TRY_AGAIN)
            self._land_all(pool)
            self._resolve_all(pool)

    def _resolve_all(self, pool: ThreadPoolExecutor) -> None:
        while self._doubtful:
            # What is sent now and gets no answer either is asked about once more, and left open then.
            self._resolve(pool)
            self._land_all(pool)

    def _land_all(self, pool: ThreadPoolExecutor) -> None:
        self._settle_landed()
        self._route(pool)
        self._plan_group(pool)
        self._flights.flush(pool)
        self._flights.collect_all()
        while self._planned:
            # Of a lead that somebody else made meanwhile an update is sent instead.
            self._route(pool)
            self._flights.flush(pool)
            self._flights.collect_all()

    def _plan_group(self, pool: ThreadPoolExecutor) -> None:
        reason = self._stop_reason()
        if reason is None and self._waiting:
            lookup = replace(self.lookup, gather=side_by_side(pool))
            self._looked_up = self.settings.server_now()
            try:
                self._planned.extend(list(self.plan.look_up(self._waiting, lookup, self.seen)))
            except SalesforceLeadsError as error:
                self._halt(error)
                reason = reason_for(error)
        if reason is not None:
            self._leave(reason)
        self._waiting = []
        self._settle_landed()
        self._route(pool)
        if self.plan.fresh:
            self._flights.flush(pool)

    def _leave(self, reason: Reason) -> None:
        self._landed.extend((left(row, self.before.reason(row.key, reason)), None) for row in self._waiting)
        self._waiting = []

    def _route(self, pool: ThreadPoolExecutor) -> None:
        while self._planned:
            step = self._planned.popleft()
            if isinstance(step, Settled):
                self._land([(step, None)])
            elif isinstance(step, Deferred):
                self._later.append(step.candidate)
            elif self._is_repeatable(step) or (known := self.before.sent(step)) is None:
                self._send(step, pool)
            elif isinstance(known, Settled):
                self._land([(known, None)])
            else:
                self._doubtful.append(known)
        if len(self._doubtful) >= GROUP:
            self._resolve(pool)

    def _resolve(self, pool: ThreadPoolExecutor) -> None:
        """Ask what became of rows that were sent without an answer; those that are surely absent are sent after all."""
        # A lead that is being created is nobody's until it is recorded.
        self._flights.collect_all()
        self.sink.flush()
        rows = list(islice(self._doubtful, GROUP))
        are_all, may_ask = self._is_read and len(rows) == len(self._doubtful), not self.settings.stop.is_set()
        for answer in self.doubts.answers(rows, self.lookup, may_ask=may_ask, are_all=are_all):
            row = self._doubtful.popleft()
            if isinstance(answer, Item):
                self._send(answer, pool)
            elif self.settings.dry_run and answer.outcome.action is Action.CREATED:
                lead_id = answer.outcome.salesforce_id
                self._land([(unchanged(row.item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id), None)])
            else:
                self._land([(answer, row.batch)])

    def _send(self, item: Item, pool: ThreadPoolExecutor) -> None:
        if self.settings.dry_run:
            self._land([(would(item), None)])
            return
        self._flights.add(item, pool)

    def _take_landed(self, items: Sequence[Item], lines: Sequence[Line]) -> None:
        """Record what became of a page, but for rows that got no answer and may not simply be sent again."""
        doubt = UnansweredSend(
            since=self.settings.began, last=self.settings.server_now(), user_ids=self.settings.user_ids
        )
        for item, (settled, batch) in zip(items, lines, strict=True):
            if isinstance(settled, Item):
                self._planned.append(settled)
            elif settled.outcome.reason != Reason.OUTCOME_UNKNOWN or self._is_repeatable(item):
                self._landed.append((settled, batch))
            else:
                self._doubtful.append(UnansweredRow(item=item, doubt=doubt, batch=batch))
        self._settle_landed()
        self.sink.flush()

    def _deliver(self, kind: PageKind, items: list[Item], looked_up: datetime) -> list[Line]:
        newer: Mapping[int, str | None] = {}
        if self.newer is not None and self._stop_reason() is None:
            try:
                newer = self.newer([item.candidate.key for item in items])
            except SalesforceLeadsError as error:
                self._halt(error)
        reason = self._stop_reason()
        if reason is not None:
            return [(not_sent(item, Unsent(reason=reason)), None) for item in items]
        older = [item for place, item in enumerate(items) if place not in newer]
        lines = iter(self._sent(kind, older, looked_up) if older else [])
        return [
            (unchanged(item.candidate, Reason.NEWER_RUN, salesforce_id=newer[place]), None)
            if place in newer
            else next(lines)
            for place, item in enumerate(items)
        ]

    def _sent(self, kind: PageKind, items: list[Item], looked_up: datetime) -> list[Line]:
        now = self.settings.server_now()
        page = PageItems(
            plan=self.plan, items=items, lookup=self.lookup, settings=self.settings, tell=self.announce, began=now
        )
        stale = is_stale(self.plan, looked_up, now)
        delivery = self.sender.deliver(
            kind, [item.record for item in items], page.recheck, recheck_first=stale, announce=page.announce
        )
        if delivery.stop is not None:
            self._halt(delivery.stop)
        sent = page.sent(delivery.unanswered)
        try:
            settled = self.plan.settle(sent, delivery.results, self.lookup)
        except SalesforceLeadsError as error:
            self._halt(error)
            settled = self.plan.settle(sent, delivery.results, None)
        return list(zip(settled, delivery.batches, strict=True))

    def _halt(self, error: SalesforceLeadsError) -> None:
        if isinstance(error, DisownedError):
            raise error
        if self.halted is None:
            self.halted = error
            log.error("Sending stops: %s", error)

    def _stop_reason(self) -> Reason | None:
        if self.halted is not None:
            return reason_for(self.halted)
        return Reason.STOPPED if self.settings.stop.is_set() else None

    def _land(self, lines: list[tuple[Settled, str | None]]) -> None:
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
