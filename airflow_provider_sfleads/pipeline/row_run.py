"""Run a plan over staged rows: rows in, pages out ``concurrency`` at a time, every row accounted for."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_provider_sfleads.core.outcome import Action, Reason, UnansweredSend
from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.pipeline.lookup import side_by_side
from airflow_provider_sfleads.pipeline.page import ItemPage, PageDelivery
from airflow_provider_sfleads.pipeline.pages_in_flight import PagesInFlight
from airflow_provider_sfleads.pipeline.plan import (
    Candidate,
    Deferred,
    Item,
    Seen,
    Settled,
    left,
    unchanged,
    would,
)
from airflow_provider_sfleads.pipeline.ports import Earlier
from airflow_provider_sfleads.pipeline.reconcile import GROUP, Reconciliation, UnansweredRow
from airflow_provider_sfleads.salesforce.collections import PageKind


@dataclass(slots=True, kw_only=True)
class RowRun:
    """One run over rows that are looked at one by one, and over what the pages before them have left.

    :param in_flight: takes pages, and records what becomes of them; what it holds is settled, too.
    :param seen: remembers Lead ids.
    :param earlier: what earlier tries and executions did, where that matters.
    :param doubts: finds out about rows of these plans that were sent without an answer.
    """

    in_flight: PagesInFlight
    seen: Seen
    earlier: Earlier | None = None
    doubts: Reconciliation = field(default_factory=Reconciliation)
    _waiting: list[Candidate] = field(default_factory=list)
    _later: list[Candidate] = field(default_factory=list)
    _pages: defaultdict[PageKind, list[Item]] = field(default_factory=lambda: defaultdict(list))
    _settled: deque[Settled] = field(default_factory=deque)
    _is_read: bool = False
    _looked_up: datetime = field(init=False)

    @property
    def delivery(self) -> PageDelivery:
        """Brings a page to Salesforce."""
        return self.in_flight.delivery

    def execute(self, rows: Iterable[Candidate]) -> None:
        """Bring every row to an outcome.

        :raises DisownedError: where another process has the task.
        """
        self._looked_up = self.delivery.terms.server_now()
        with self.in_flight:
            self._read(rows)
            self._is_read = True
            self._finish()

    def _read(self, rows: Iterable[Candidate]) -> None:
        for row in rows:
            if self.earlier is not None and self.earlier.settled(row.key):
                continue
            self._waiting.append(row.doubted(self._doubt(row.key)))
            if len(self._waiting) >= self.delivery.plan.group_size:
                self._plan_group()

    def _finish(self) -> None:
        self._settle_all()
        self._resolve_all()
        while self._later:
            self.delivery.plan.next_pass()
            self._waiting, self._later = self._later, []
            if self.doubts.are_open:
                # One of them may share its e-mail address with a lead that still comes.
                self._leave(Reason.TRY_AGAIN)
            self._settle_all()
            self._resolve_all()

    def _resolve_all(self) -> None:
        while self.in_flight.doubtful:
            # What is sent now and gets no answer either is asked about once more, and left open then.
            self._resolve()
            self._settle_all()

    def _settle_all(self) -> None:
        self._plan_group()
        self._send_pages()
        self.in_flight.collect_all()
        while self.in_flight.items:
            # Of a lead that somebody else made meanwhile an update is sent instead.
            self._send_met()
            self._send_pages()
            self.in_flight.collect_all()

    def _plan_group(self) -> None:
        delivery, steps = self.delivery, list[Item | Settled | Deferred]()
        if delivery.stop_reason is None and self._waiting:
            lookup = replace(delivery.lookup, gather=side_by_side(self.in_flight.pool))
            self._looked_up = delivery.terms.server_now()
            try:
                steps += delivery.plan.look_up(self._waiting, lookup, self.seen)
                self._waiting = []
            except SalesforceLeadsError as error:
                delivery.halt(error)
        if delivery.stop_reason is not None:
            self._leave(delivery.stop_reason)
        self._route(steps)
        self._send_met()
        if delivery.plan.fresh:
            self._send_pages()

    def _leave(self, reason: Reason) -> None:
        for row in self._waiting:
            self._settle(left(row.doubted(self._doubt(row.key)), reason))
        self._waiting = []
        self.in_flight.record(self._settled)

    def _send_met(self) -> None:
        """Send what is to be sent instead, where a row met a lead that its look-up had not found."""
        steps = list(self.in_flight.items)
        self.in_flight.items.clear()
        self._route(steps)

    def _route(self, steps: Iterable[Item | Settled | Deferred]) -> None:
        for step in steps:
            if isinstance(step, Settled):
                self._settle(step)
            elif isinstance(step, Deferred):
                self._later.append(step.candidate)
            elif self.delivery.is_repeatable(step) or (known := self._sent_before(step)) is None:
                self._send(step)
            elif isinstance(known, Settled):
                self._settle(known)
            else:
                self.in_flight.doubtful.append(known)
        self.in_flight.record(self._settled)
        if len(self.in_flight.doubtful) >= GROUP:
            self._resolve()

    def _doubt(self, key: str) -> UnansweredSend | None:
        return None if self.earlier is None else self.earlier.unknown(key)

    def _sent_before(self, item: Item) -> Settled | UnansweredRow | None:
        """Return what is known of an item that cannot simply be sent.

        Since that could create its lead a second time.
        """
        lead_id = None if self.earlier is None else self.earlier.created(item.candidate.key)
        if lead_id is not None:
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id)
        doubt = self._doubt(item.candidate.key)
        return None if doubt is None else UnansweredRow(item=item, doubt=doubt)

    def _resolve(self) -> None:
        """Ask what became of rows that were sent without an answer; those that are surely absent are sent after all."""
        in_flight, terms = self.in_flight, self.delivery.terms
        # A lead that is being created is nobody's until it is recorded.
        in_flight.collect_all()
        in_flight.sink.flush()
        rows = [in_flight.doubtful.popleft() for _ in range(min(GROUP, len(in_flight.doubtful)))]
        are_all, may_ask = self._is_read and not in_flight.doubtful, not terms.stop.is_set()
        answers = self.doubts.answers(rows, self.delivery.lookup, may_ask=may_ask, are_all=are_all)
        for row, answer in zip(rows, answers, strict=True):
            if isinstance(answer, Item):
                self._send(answer)
            elif terms.dry_run and answer.outcome.action is Action.CREATED:
                lead_id = answer.outcome.salesforce_id
                self._settle(unchanged(row.item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id))
            else:
                self._settle(answer, row.batch)
        in_flight.record(self._settled)

    def _send(self, item: Item) -> None:
        if self.delivery.terms.dry_run:
            self._settle(would(item))
            return
        page = self._pages[item.kind]
        page.append(item)
        if len(page) >= self.delivery.terms.batch_size:
            self._send_page(item.kind)

    def _send_pages(self) -> None:
        for kind in list(self._pages):
            self._send_page(kind)

    def _send_page(self, kind: PageKind) -> None:
        # Since when also a page waits that waits for room, not only for a thread.
        self.in_flight.send(ItemPage(self._pages.pop(kind), kind, self._looked_up))

    def _settle(self, line: Settled, batch: str | None = None) -> None:
        self._settled.append(self.delivery.stamped(line, batch))
