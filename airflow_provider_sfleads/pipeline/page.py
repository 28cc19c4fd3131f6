"""Send one page of staged rows as a request of sObject Collections, and settle its rows."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action, Reason, UnansweredSend
from airflow_provider_sfleads.exceptions import DisownedError, SalesforceLeadsError
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.ids import id_bytes, id_strings
from airflow_provider_sfleads.pipeline.lead_search import people_of
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.page_sender import Delivery, PageSender
from airflow_provider_sfleads.pipeline.plan import Item, Overtaken, Plan, Settled, Unsent, reason_for
from airflow_provider_sfleads.pipeline.ports import Newer, RunTerms, Settings
from airflow_provider_sfleads.pipeline.reconcile import UnansweredRow
from airflow_provider_sfleads.pipeline.settled_rows import newer_lines
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_rows import Sending, field_values, rebuild, without_originals
from airflow_provider_sfleads.salesforce.collections import SaveResult
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Record

_FRESH = timedelta(seconds=10)


def is_stale(plan: Plan, looked_up: datetime, now: datetime) -> bool:
    """Whether a page has waited too long for a free thread: it is looked up anew, where it matters how leads stand."""
    return plan.fresh and now - looked_up > _FRESH


@dataclass(slots=True, kw_only=True)
class PageItems:
    """What a page's sender asks about its records, by their positions.

    :param items: the page.
    :param lookup: reads leads.
    :param tell: makes durable which new leads are about to be sent.
    :param began: when the page was taken up, by Salesforce's clock: its leads are made after that.
    """

    plan: Plan
    items: Sequence[Item]
    lookup: LeadLookup
    settings: Settings
    tell: Callable[[Sequence[Item]], None] | None
    began: datetime

    def recheck(self, positions: Sequence[int], unanswered: Collection[int]) -> Mapping[int, Overtaken | Unsent]:
        """Look again before records are sent again."""
        sent = self.sent(unanswered)
        found = self.plan.recheck([sent[position] for position in positions], self.lookup)
        return {positions[place]: result for place, result in found.items()}

    def announce(self, positions: Sequence[int]) -> None:
        """Say that records are about to be sent."""
        new = [self.items[position] for position in positions if self.items[position].expected is Action.CREATED]
        if self.tell is not None and new:
            self.tell(new)

    def sent(self, unanswered: Collection[int]) -> list[Item]:
        """The items; new leads that got no answer with the doubt about them."""
        if not unanswered:
            return list(self.items)
        doubt = UnansweredSend(since=self.began, last=self.settings.server_now(), user_ids=self.settings.user_ids)
        return [
            item.doubted(doubt) if position in unanswered and item.expected is Action.CREATED else item
            for position, item in enumerate(self.items)
        ]


log = logging.getLogger(__name__)

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


@dataclass(slots=True, eq=False)
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
    def rows(self) -> pa.RecordBatch:
        """Its rows, without those of the export that they come from."""
        parts = [without_originals(batch) for batch in self.batches]
        return parts[0] if len(parts) == 1 else pa.concat_batches(parts)

    def items(self, lead: SObjectInfo) -> Iterator[Item]:
        """Its rows as the row code knows them."""
        for batch in self.batches:
            yield from rebuild(batch, range(batch.num_rows), lead, self.way)


@dataclass(slots=True, kw_only=True)
class PageDelivery:
    """Delivers pages, in several threads.

    :param plan: what the operator asks for.
    :param lead: the org's Lead.
    :param lookup: reads single leads.
    :param terms: how the run is carried out.
    :param settings: how pages are sent.
    :param sender: sends the records of a page.
    :param newer: finds rows that a newer run has brought up to date, right before a page is sent.
    :param announce: makes durable which new leads are about to be sent.
    :param halted: why sending stopped early.
    """

    plan: CreatePlan | StagePlan
    lead: SObjectInfo
    lookup: LeadLookup
    terms: RunTerms
    settings: Settings
    sender: PageSender
    newer: Newer | None
    announce: Announce
    halted: SalesforceLeadsError | None = None

    def deliver(self, page: Page) -> PageOutcome:
        """Bring a page to Salesforce.

        :raises DisownedError: where another process has the task.
        """
        rows, newer = page.rows, dict[int, str | None]()
        if self.newer is not None and self.stop_reason is None:
            try:
                newer |= self.newer(rows.column("key").to_pylist())
            except SalesforceLeadsError as error:
                self.halt(error)
        if self.stop_reason is not None:
            return self.unsent(page, self.stop_reason)
        if not newer:
            return _Request(self, page, rows, np.arange(rows.num_rows)).sent()
        lines, is_newer = newer_lines(self.terms, rows, newer)
        older = np.flatnonzero(~is_newer)
        outcome = _Request(self, page, rows, older).sent() if len(older) else PageOutcome()
        outcome.lines.append(lines)
        return outcome

    def unsent(self, page: Page, reason: Reason) -> PageOutcome:
        """The outcome of a page whose rows were not sent, or of which nobody knows what became of them."""
        return PageOutcome(lines=deque([self.terms.left(page.rows, reason)]), left=page.rows.num_rows)

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
        return Reason.STOPPED if self.settings.stop.is_set() else None


class _Request:
    """The rows of a page that are sent.

    :param positions: where they stand in the page.
    """

    def __init__(self, delivery: PageDelivery, page: Page, rows: pa.RecordBatch, positions: Positions) -> None:
        self._delivery, self._page, self._positions = delivery, page, positions
        self._rows = rows if len(positions) == rows.num_rows else rows.take(pa.array(positions))
        self._kind = page.way.kind
        self._creates = page.way.expected is Action.CREATED
        self._began = delivery.settings.server_now()
        by_id = self._kind.operation == "update"
        self._records: Sequence[Record] = field_values(self._rows, delivery.lead, by_id=by_id)

    @cached_property
    def _items(self) -> PageItems:
        """The rows as the row code knows them; most pages need none of it."""
        delivery = self._delivery
        items = list(self._page.items(delivery.lead))
        return PageItems(
            plan=delivery.plan,
            items=[items[position] for position in self._positions],
            lookup=delivery.lookup,
            settings=delivery.settings,
            tell=None,
            began=self._began,
        )

    def sent(self) -> PageOutcome:
        """Send the rows; those that were plainly written are settled by the column, the others by the plan's rules."""
        stale = is_stale(self._delivery.plan, self._page.looked_up, self._began)
        reply = self._delivery.sender.deliver(
            self._kind, self._records, self._recheck, recheck_first=stale, announce=self._announce
        )
        if reply.stop is not None:
            self._delivery.halt(reply.stop)
        plain = {
            position: result
            for position, result in enumerate(reply.results)
            if isinstance(result, SaveResult) and result.error is None and position not in reply.unanswered
        }
        outcome = PageOutcome()
        if plain:
            outcome.lines.append(self._lines(plain, reply.batches))
        closer = [position for position in range(len(reply.results)) if position not in plain]
        if closer:
            self._look_closer(closer, reply, outcome)
        return outcome

    def _recheck(self, positions: Sequence[int], unanswered: Collection[int]) -> Mapping[int, Overtaken | Unsent]:
        return self._items.recheck(positions, unanswered)

    def _announce(self, positions: Sequence[int]) -> None:
        if self._creates:
            keys = self._rows.column("key").take(pa.array(positions)).to_pylist()
            people = people_of(self._delivery.lead, (self._records[position] for position in positions))
            self._delivery.announce(list(zip(keys, people, strict=True)))

    def _look_closer(self, positions: Sequence[int], reply: Delivery, outcome: PageOutcome) -> None:
        """Settle rows by the plan's own rules."""
        plan, settings, sent = self._delivery.plan, self._delivery.settings, self._items.sent(reply.unanswered)
        items, results = [sent[position] for position in positions], [reply.results[position] for position in positions]
        try:
            found: Sequence[Settled | Item] = plan.settle(items, results, self._delivery.lookup)
        except SalesforceLeadsError as error:
            self._delivery.halt(error)
            found = plan.settle(items, results, None)
        is_repeatable = plan.repeatable or not self._creates
        for item, position, line in zip(items, positions, found, strict=True):
            batch = reply.batches[position]
            if isinstance(line, Item):
                outcome.items.append(line)
            elif line.outcome.reason == Reason.OUTCOME_UNKNOWN and not is_repeatable:
                doubt = UnansweredSend(since=settings.began, last=settings.server_now(), user_ids=settings.user_ids)
                outcome.doubtful.append(UnansweredRow(item=item, doubt=doubt, batch=batch))
            else:
                carried = replace(line.outcome, api="collections" if batch else None, batch=batch)
                outcome.others.append(replace(line, outcome=self._delivery.terms.stamped(carried)))

    def _lines(self, written: Mapping[int, SaveResult], batches: Sequence[str | None]) -> pa.RecordBatch:
        """The lines of rows that were written; where the reply does not say how, what was known before decides."""
        results, count = written.values(), len(written)
        rows = self._rows if count == self._rows.num_rows else self._rows.take(pa.array(list(written)))
        expected = str(self._page.way.expected)
        words = {None: expected, True: str(Action.CREATED), False: str(Action.UPDATED)}
        says_how = self._kind.operation != "update"
        ids = pa.array([result.id for result in results], pa.string())
        columns = {
            "key": rows.column("key"),
            "action": pa.array([words[result.created] if says_how else expected for result in results], pa.string()),
            "salesforce_id": pa.compute.coalesce(id_strings(id_bytes(ids)), rows.column("salesforce_id")),
            "api": pa.repeat("collections", count),
            "batch": pa.array([batches[position] for position in written], pa.string()),
            "old_stage": rows.column("old_stage"),
            "new_stage": rows.column("new_stage"),
        }
        return self._delivery.terms.lines(columns)
