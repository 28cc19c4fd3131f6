"""Send one page of staged rows as a request of sObject Collections, and settle its rows."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import (
    Action,
    Reason,
    UnansweredSend,
    written_as,
)
from airflow_provider_sfleads.exceptions import DisownedError, SalesforceLeadsError
from airflow_provider_sfleads.pipeline.column_text import id_bytes, strings
from airflow_provider_sfleads.pipeline.lead_search import people_of
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.page_sender import PageReply, PageSender
from airflow_provider_sfleads.pipeline.plan import (
    Item,
    Overtaken,
    Plan,
    Settled,
    Unsent,
    not_sent,
    reason_for,
    unchanged,
)
from airflow_provider_sfleads.pipeline.ports import Newer, RunTerms
from airflow_provider_sfleads.pipeline.reconcile import UnansweredRow
from airflow_provider_sfleads.pipeline.settled_rows import all_but, chosen, newer_lines
from airflow_provider_sfleads.pipeline.staged_rows import Sending, field_values, rebuild, without_originals
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Record

log = logging.getLogger(__name__)

_FRESH = timedelta(seconds=10)

Announce = Callable[[Sequence[tuple[str, str]]], None]
"""Makes durable that new leads are about to be sent: the key of each, and a digest of who it speaks of."""


@dataclass(slots=True, kw_only=True)
class PageOutcome:
    """What became of the rows of a page, as far as it is not recorded.

    :param lines: outcomes that lie in columns.
    :param others: outcomes of rows that took a closer look.
    :param items: what is sent instead, since a lead was met that the look-up had not found.
    :param doubtful: rows that got no answer and may not simply be sent again.
    :param left: rows of ``lines`` that were not sent.
    """

    lines: deque[pa.RecordBatch] = field(default_factory=deque)
    others: deque[Settled] = field(default_factory=deque)
    items: list[Item] = field(default_factory=list)
    doubtful: list[UnansweredRow] = field(default_factory=list)
    left: int = 0

    def add(self, other: PageOutcome) -> None:
        """Take in what became of further rows."""
        for mine, others in ((self.lines, other.lines), (self.others, other.others)):
            mine.extend(others)
        self.items += other.items
        self.doubtful += other.doubtful
        self.left += other.left


@dataclass(eq=False)
class Page:
    """Rows that go out in one request, and, once that is over, what became of them.

    :param batches: the rows, placed; the types of the export's columns may differ between batches.
    :param looked_up: when their leads were looked up, by Salesforce's clock.
    """

    batches: Sequence[pa.RecordBatch]
    way: Sending
    looked_up: datetime
    outcome: PageOutcome | None = None
    error: BaseException | None = None

    @property
    def kind(self) -> PageKind:
        """What it is sent as."""
        return self.way.kind

    @cached_property
    def rows(self) -> pa.RecordBatch:
        """Its rows, without those of the export that they come from."""
        parts = [without_originals(batch) for batch in self.batches]
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    @property
    def keys(self) -> list[str]:
        """The rows' keys."""
        keys: list[str] = self.rows.column("key").to_pylist()
        return keys

    def records(self, lead: SObjectInfo) -> Sequence[Record]:
        """Return what is sent of the rows."""
        return field_values(self.rows, lead, by_id=self.kind.operation == "update")

    def creates(self, _position: int) -> bool:
        """Return whether a row is to become a new lead."""
        return self.way.expected is Action.CREATED

    def items(self, lead: SObjectInfo) -> list[Item]:
        """Its rows as the row code knows them; most pages need none of it."""
        return [item for batch in self.batches for item in rebuild(batch, range(batch.num_rows), lead, self.way)]

    def without(self, positions: Collection[int]) -> Page:
        """Return the page of the other rows."""
        ends = np.cumsum([batch.num_rows for batch in self.batches])
        masks = np.split(all_but(self.rows.num_rows, positions), ends[:-1])
        batches = [chosen(batch, mask) for batch, mask in zip(self.batches, masks, strict=True)]
        return Page(batches, self.way, self.looked_up)

    def left(self, delivery: PageDelivery, reason: Reason) -> PageOutcome:
        """Return the outcome where no row was sent, or nobody knows what became of any."""
        return PageOutcome(lines=deque([delivery.terms.left(self.rows, reason)]), left=self.rows.num_rows)

    def newer(self, delivery: PageDelivery, ids: Mapping[int, str | None]) -> PageOutcome:
        """Return the outcome of rows that a newer run has brought up to date."""
        return PageOutcome(lines=deque([newer_lines(delivery.terms, self.rows, ids)]))

    def written(self, terms: RunTerms, results: Mapping[int, SaveResult], batches: Sequence[str | None]) -> PageOutcome:
        """Return the outcome of rows that were written."""
        if not results:
            return PageOutcome()
        count = len(results)
        rows = self.rows if count == self.rows.num_rows else self.rows.take(pa.array(list(results)))
        words = {created: str(written_as(self.way.expected, created)) for created in (None, True, False)}
        actions = [words[result.created] for result in results.values()]
        ids = pa.array([result.id for result in results.values()], pa.string())
        columns = {
            "key": rows.column("key"),
            "action": pa.array(actions, pa.string()),
            "salesforce_id": pa.compute.coalesce(strings(id_bytes(ids)), rows.column("salesforce_id")),
            "api": pa.repeat("collections", count),
            "batch": pa.array([batches[position] for position in results], pa.string()),
            "old_stage": rows.column("old_stage"),
            "new_stage": rows.column("new_stage"),
        }
        return PageOutcome(lines=deque([terms.lines(columns)]))


@dataclass(slots=True, eq=False)
class ItemPage:
    """The same of rows that were looked at one by one."""

    batch: Sequence[Item]
    kind: PageKind
    looked_up: datetime
    outcome: PageOutcome | None = None
    error: BaseException | None = None

    @property
    def keys(self) -> list[str]:
        """The rows' keys."""
        return [item.candidate.key for item in self.batch]

    def records(self, _lead: SObjectInfo) -> Sequence[Record]:
        """Return what is sent of the rows."""
        return [item.record for item in self.batch]

    def creates(self, position: int) -> bool:
        """Return whether a row is to become a new lead."""
        return self.batch[position].expected is Action.CREATED

    def items(self, _lead: SObjectInfo) -> list[Item]:
        """Its rows."""
        return list(self.batch)

    def without(self, positions: Collection[int]) -> ItemPage:
        """Return the page of the other rows."""
        stay = [item for position, item in enumerate(self.batch) if position not in positions]
        return ItemPage(stay, self.kind, self.looked_up)

    def left(self, delivery: PageDelivery, reason: Reason) -> PageOutcome:
        """Return the outcome where no row was sent, or nobody knows what became of any."""
        outcome = PageOutcome()
        for item in self.batch:
            delivery.take(outcome, item, not_sent(item, Unsent(reason=reason)))
        return outcome

    def newer(self, delivery: PageDelivery, ids: Mapping[int, str | None]) -> PageOutcome:
        """Return the outcome of rows that a newer run has brought up to date."""
        outcome = PageOutcome()
        for position, lead_id in ids.items():
            item = self.batch[position]
            delivery.take(outcome, item, unchanged(item.candidate, Reason.NEWER_RUN, salesforce_id=lead_id))
        return outcome

    def written(self, _terms: RunTerms, _results: object, _batches: object) -> None:
        """Return nothing: no row lies in a column, and the plan settles all of them."""


@dataclass(slots=True, kw_only=True)
class PageDelivery:
    """Delivers pages, in several threads.

    :param plan: what the operator asks for.
    :param lead: the org's Lead.
    :param lookup: reads single leads.
    :param terms: how the run is carried out.
    :param sender: sends the records of a page.
    :param newer: finds rows that a newer run has brought up to date, right before a page is sent.
    :param announce: makes durable which new leads are about to be sent.
    :param halted: why sending stopped early.
    """

    plan: Plan
    lead: SObjectInfo
    lookup: LeadLookup
    terms: RunTerms
    sender: PageSender
    newer: Newer | None = None
    announce: Announce = lambda _rows: None
    halted: SalesforceLeadsError | None = None

    def deliver(self, page: Page | ItemPage) -> PageOutcome:
        """Bring a page to Salesforce.

        :raises DisownedError: where another process has the task.
        """
        newer: Mapping[int, str | None] = {}
        keys = page.keys
        if self.newer is not None and self.stop_reason is None:
            try:
                newer = self.newer(keys)
            except SalesforceLeadsError as error:
                self.halt(error)
        if self.stop_reason is not None:
            return page.left(self, self.stop_reason)
        if not newer:
            return _Request(self, page).sent()
        outcome = page.newer(self, newer)
        if len(newer) < len(keys):
            outcome.add(_Request(self, page.without(newer)).sent())
        return outcome

    def take(self, outcome: PageOutcome, item: Item, line: Settled | Item, batch: str | None = None) -> None:
        """Take down what became of a row.

        :param batch: number of the request that carried it.
        """
        if isinstance(line, Item):
            outcome.items.append(line)
        elif line.outcome.reason != Reason.OUTCOME_UNKNOWN or self.is_repeatable(item):
            outcome.others.append(self.stamped(line, batch))
        else:
            terms = self.terms
            doubt = UnansweredSend(since=terms.began, last=terms.server_now(), user_ids=terms.user_ids)
            outcome.doubtful.append(UnansweredRow(item=item, doubt=doubt, batch=batch))

    def stamped(self, line: Settled, batch: str | None = None) -> Settled:
        """Return a line with what only the run knows of it."""
        outcome = replace(line.outcome, api="collections" if batch else None, batch=batch)
        return replace(line, outcome=self.terms.stamped(outcome))

    def is_repeatable(self, item: Item) -> bool:
        """Return whether an item can be sent twice without a second lead."""
        return self.plan.repeatable or item.expected is not Action.CREATED

    def halt(self, error: SalesforceLeadsError) -> None:
        """Send no further page.

        :raises DisownedError: the error, where it is one.
        """
        if isinstance(error, DisownedError):
            raise error
        if self.halted is None:
            self.halted = error
            log.error("Sending stops: %s", error)

    @property
    def stop_reason(self) -> Reason | None:
        """Why no further row is sent; ``None`` while rows are."""
        if self.halted is not None:
            return reason_for(self.halted)
        return Reason.STOPPED if self.terms.stop.is_set() else None


class _Request:
    """The request of a page; its rows that were plainly written are settled by the column, the others by the plan."""

    def __init__(self, delivery: PageDelivery, page: Page | ItemPage) -> None:
        self._delivery, self._page = delivery, page
        self._began = delivery.terms.server_now()
        self._records = page.records(delivery.lead)

    @cached_property
    def _items(self) -> list[Item]:
        return self._page.items(self._delivery.lead)

    def sent(self) -> PageOutcome:
        """Send the rows, and settle them."""
        delivery, page = self._delivery, self._page
        # A page that has waited too long for a free thread is looked up anew, where it matters how leads stand.
        is_stale = delivery.plan.fresh and self._began - page.looked_up > _FRESH
        reply = delivery.sender.send_page(
            page.kind, self._records, self._recheck, recheck_first=is_stale, announce=self._announce
        )
        if reply.stop is not None:
            delivery.halt(reply.stop)
        plain = {
            position: result
            for position, result in enumerate(reply.results)
            if isinstance(result, SaveResult) and result.error is None and position not in reply.unanswered
        }
        outcome = page.written(delivery.terms, plain, reply.batches)
        if outcome is None:
            outcome, plain = PageOutcome(), {}
        closer = [position for position in range(len(reply.results)) if position not in plain]
        if closer:
            self._look_closer(closer, reply, outcome)
        return outcome

    def _recheck(self, positions: Sequence[int], unanswered: Collection[int]) -> Mapping[int, Overtaken | Unsent]:
        sent = self._sent(positions, unanswered)
        found = self._delivery.plan.recheck(sent, self._delivery.lookup)
        return {positions[place]: result for place, result in found.items()}

    def _announce(self, positions: Sequence[int]) -> None:
        new = [position for position in positions if self._page.creates(position)]
        if new:
            keys = self._page.keys
            people = people_of(self._delivery.lead, (self._records[position] for position in new))
            self._delivery.announce(list(zip((keys[position] for position in new), people, strict=True)))

    def _sent(self, positions: Sequence[int], unanswered: Collection[int]) -> list[Item]:
        """Items of the page; new leads that got no answer with the doubt about them."""
        terms = self._delivery.terms
        doubt = UnansweredSend(since=self._began, last=terms.server_now(), user_ids=terms.user_ids)
        return [
            self._items[position].doubted(doubt if position in unanswered and self._page.creates(position) else None)
            for position in positions
        ]

    def _look_closer(self, positions: Sequence[int], reply: PageReply, outcome: PageOutcome) -> None:
        """Settle rows by the plan's own rules."""
        delivery = self._delivery
        items = self._sent(positions, reply.unanswered)
        results = [reply.results[position] for position in positions]
        try:
            found = delivery.plan.settle(items, results, delivery.lookup)
        except SalesforceLeadsError as error:
            delivery.halt(error)
            found = delivery.plan.settle(items, results, None)
        for item, position, line in zip(items, positions, found, strict=True):
            delivery.take(outcome, item, line, reply.batches[position])
