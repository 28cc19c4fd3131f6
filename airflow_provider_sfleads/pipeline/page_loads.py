"""Send staged rows by pages of sObject Collections: look up, send and settle, some pages at a time."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from queue import Empty, SimpleQueue

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.unanswered import UnansweredSend
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.exceptions import DisownedError, SalesforceLeadsError
from airflow_provider_sfleads.pipeline.create_plan import CreatePlan
from airflow_provider_sfleads.pipeline.ids import id_bytes, id_strings
from airflow_provider_sfleads.pipeline.job_ports import ResultsSink
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.lookup_decide import decide
from airflow_provider_sfleads.pipeline.lookup_decisions import APART, SETTLED, TAIL, Decisions
from airflow_provider_sfleads.pipeline.lookup_reading import Memory, Reading, Stopped
from airflow_provider_sfleads.pipeline.lookup_sources import read_by_calls
from airflow_provider_sfleads.pipeline.page_items import PageItems
from airflow_provider_sfleads.pipeline.page_sender import Delivery, PageSender
from airflow_provider_sfleads.pipeline.plan import Item, Settled
from airflow_provider_sfleads.pipeline.ports import Earlier, Newer, Settings
from airflow_provider_sfleads.pipeline.reconcile import UnansweredRow
from airflow_provider_sfleads.pipeline.run_terms import RunTerms
from airflow_provider_sfleads.pipeline.send_results import Overtaken, Result, Unsent, reason_for
from airflow_provider_sfleads.pipeline.stage_plan import StagePlan
from airflow_provider_sfleads.pipeline.staged_items import Sending, field_values, rebuild
from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces
from airflow_provider_sfleads.pipeline.staged_rows import PLACED, with_place
from airflow_provider_sfleads.pipeline.unclaimed_leads import people_of
from airflow_provider_sfleads.salesforce.collections import SaveResult
from airflow_provider_sfleads.salesforce.describe import SObjectInfo
from airflow_provider_sfleads.salesforce.wire import Record

log = logging.getLogger(__name__)

_Mask = npt.NDArray[np.bool_]
Announce = Callable[[Sequence[tuple[str, str]]], None]
"""Makes durable that new leads are about to be sent: the key of each, and a digest of who it speaks of."""

# Rows that are looked up together: with sObject Collections one call reads so many leads.
_WINDOW = 2_000
# A page that waited longer for a free thread is looked up anew, where it matters how its leads stand now.
_FRESH = timedelta(seconds=10)
# Pages that may wait for a free thread: enough that reading never starves the threads, few enough to hold.
_WAITING_PER_THREAD = 4
# Seconds: where pages come back faster, several are made durable together.
_FLUSH_EVERY = 0.2


@dataclass(slots=True, eq=False)
class _Page:
    """Rows that go out in one request, and, once that is over, what became of them.

    :param rows: placed rows.
    :param looked_up: when their leads were looked up, by Salesforce's clock.
    """

    rows: pa.RecordBatch
    way: Sending
    looked_up: datetime
    settled: _Settled | None = None
    error: BaseException | None = None


@dataclass(slots=True, kw_only=True)
class _Settled:
    """What became of a page, as far as it is not recorded.

    :param lines: outcomes that lie in columns.
    :param others: outcomes of rows that took a closer look.
    :param items: what is sent instead, since a lead was met that the look-up had not found.
    :param doubtful: rows that got no answer and may not simply be sent again.
    :param left: rows that were not sent.
    """

    lines: deque[pa.RecordBatch] = field(default_factory=deque)
    others: deque[Settled] = field(default_factory=deque)
    items: Sequence[Item] = ()
    doubtful: Sequence[UnansweredRow] = ()
    left: int = 0


@dataclass(slots=True, kw_only=True)
class PageLoads:
    """Sends staged rows by pages; after :meth:`carry_out`, the fields say what is left for others.

    :param plan: what the operator asks for.
    :param lead: the org's Lead.
    :param book: where outcomes go.
    :param reading: what a look-up reads with.
    :param lookup: reads single leads.
    :param memory: Lead ids seen.
    :param terms: how the run is carried out.
    :param settings: how pages are sent.
    :param sender: delivers a page.
    :param newer: finds rows that a newer run has brought up to date, right before a page is sent.
    :param announce: makes durable which new leads are about to be sent.
    :param earlier: what earlier tries did, where that matters.
    :param halted: why sending stopped early.
    :param items: what is to be sent of rows that met a lead which the look-up had not found.
    :param doubtful: rows that got no answer and may not simply be sent again.
    :param apart: of each piece, by name, the places of the rows that have to be looked at one by one.
    :param left: rows that were not sent, for this or that reason.
    """

    plan: CreatePlan | StagePlan
    lead: SObjectInfo
    pieces: Pieces
    book: ResultsSink
    reading: Reading
    lookup: LeadLookup
    memory: Memory
    terms: RunTerms
    settings: Settings
    sender: PageSender
    newer: Newer | None
    announce: Announce
    earlier: Earlier | None
    halted: SalesforceLeadsError | None = None
    items: list[Item] = field(default_factory=list)
    doubtful: list[UnansweredRow] = field(default_factory=list)
    apart: dict[str, list[int]] = field(default_factory=dict)
    left: int = 0
    _waiting: dict[int, list[pa.RecordBatch]] = field(default_factory=dict)
    _ways: tuple[Sending, ...] = field(init=False)
    _pages: list[_Page] = field(default_factory=list)
    _over: SimpleQueue[_Page] = field(default_factory=SimpleQueue)
    _landed: int = 0
    _flushed: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Note how rows may be sent."""
        self._ways = tuple(Sending(kind=kind, expected=expected) for kind, expected in self.plan.ways)

    def carry_out(self, pieces: Sequence[Piece]) -> None:
        """Bring the rows of pieces to an outcome, but for those that :attr:`apart` and the other fields name.

        Where something that is no outcome breaks the run (a bug, a signal), what is in flight is still recorded before
        it goes on.
        """
        with ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="salesforce") as pool:
            try:
                for piece in pieces:
                    self._take(piece, pool)
                self._submit_all(pool)
                while self._pages:
                    self._collect()
            except DisownedError:
                # What is in flight is the newer try's to find out about.
                self.settings.stop.set()
                raise
            except BaseException:
                self.settings.stop.set()
                uninterrupted(partial(self._wind_up, pool))
                raise

    def _wind_up(self, pool: ThreadPoolExecutor) -> None:
        """Record what is in flight; what is not, the results do not know."""
        pool.shutdown(wait=True, cancel_futures=True)
        over = [page for page in self._pages if page.settled is not None or page.error is not None]
        self._land_all(over)
        for page in over:
            if isinstance(page.error, DisownedError):
                raise page.error

    def _take(self, piece: Piece, pool: ThreadPoolExecutor) -> None:
        """Look the rows of a piece up, and let pages leave as they fill."""
        apart = self.apart.setdefault(piece.name, [])
        start = 0
        with self.pieces.reading(piece) as batches:
            for window in _windows(batches, _WINDOW):
                places = np.arange(start, start + window.num_rows)
                start += window.num_rows
                is_open = self._is_open(window, places, apart)
                if is_open.any():
                    rows = window if is_open.all() else window.filter(pa.array(is_open))
                    self._decide(rows, places[is_open], apart, pool)

    def _is_open(self, window: pa.RecordBatch, places: npt.NDArray[np.int64], apart: list[int]) -> _Mask:
        """Which rows are simply to be sent; of the others some are settled, and some may be there already."""
        tail = window.column("tail").to_numpy(zero_copy_only=False)
        apart.extend(places[tail].tolist())
        is_open: _Mask = ~tail
        if self.earlier is not None:
            for at, key in enumerate(window.column("key").to_pylist()):
                if is_open[at] and self.earlier.settled(key):
                    is_open[at] = False
                elif is_open[at] and (self.earlier.unknown(key) or self.earlier.created(key)) is not None:
                    is_open[at] = False
                    apart.append(int(places[at]))
        return is_open

    def _decide(
        self, window: pa.RecordBatch, places: npt.NDArray[np.int64], apart: list[int], pool: ThreadPoolExecutor
    ) -> None:
        # Before they are read: what changes from then on may be missing.
        looked_up = self._now()
        decisions = self._looked_up(window) if self._stop_reason() is None else None
        if decisions is None:
            uninterrupted(partial(self.book.add, self.terms.left(window, self._stop_reason() or Reason.STOPPED)))
            self.left += window.num_rows
            return
        # A signal that strikes while outcomes are taken down would leave them half done.
        uninterrupted(partial(self._place, window, decisions, places, apart))
        for number in list(self._waiting):
            self._submit(number, pool, looked_up, all_of_them=self.plan.fresh)

    def _looked_up(self, window: pa.RecordBatch) -> Decisions | None:
        try:
            return decide(self.plan, lambda: iter([window]), self.reading, self.memory, read=read_by_calls)
        except Stopped:
            return None
        except SalesforceLeadsError as error:
            self._halt(error)
            return None

    def _place(
        self, window: pa.RecordBatch, decisions: Decisions, places: npt.NDArray[np.int64], apart: list[int]
    ) -> None:
        """Record what the look-up has settled, and put the other rows on pages."""
        classes, found = decisions.classes, decisions.columns(0, window.num_rows)
        settled = pa.array(classes == SETTLED)
        self._add(window.filter(settled), found.filter(settled))
        for position in np.flatnonzero(classes == APART):
            refused = decisions.apart[int(position)]
            self.book.write(self.terms.stamped(refused.outcome), refused.row)
        apart.extend(places[classes == TAIL].tolist())
        for number, way in enumerate(self._ways):
            which = classes == number
            if not which.any():
                continue
            rows, known = window.filter(pa.array(which)), found.filter(pa.array(which))
            if self.terms.dry_run:
                would = Action.WOULD_CREATE if way.expected is Action.CREATED else Action.WOULD_UPDATE
                self._add(rows, known, action=would)
            else:
                placed = with_place(rows, [known.column(name) for name in PLACED])
                self._waiting.setdefault(number, []).append(placed)

    def _add(self, rows: pa.RecordBatch, found: pa.RecordBatch, *, action: Action | None = None) -> None:
        if not rows.num_rows:
            return
        columns = {name: found.column(name) for name in found.schema.names}
        if action is not None:
            columns["action"] = pa.repeat(str(action), rows.num_rows)
        self.book.add(self.terms.lines({"key": rows.column("key"), **columns}))

    def _submit_all(self, pool: ThreadPoolExecutor) -> None:
        for number in list(self._waiting):
            self._submit(number, pool, self._now(), all_of_them=True)

    def _submit(self, number: int, pool: ThreadPoolExecutor, looked_up: datetime, *, all_of_them: bool) -> None:
        """Let full pages leave, or all of them.

        :param looked_up: when the last of their leads were looked up.
        """
        batches, size = self._waiting.pop(number), self.settings.batch_size
        rest: list[pa.RecordBatch] = []
        for same in _of_one_schema(batches):
            rows = pa.concat_batches(same) if len(same) > 1 else same[0]
            ends_here = all_of_them or same[-1] is not batches[-1]
            whole = rows.num_rows if ends_here else rows.num_rows - rows.num_rows % size
            for start in range(0, whole, size):
                self._send(_Page(rows.slice(start, min(size, whole - start)), self._ways[number], looked_up), pool)
            if whole < rows.num_rows:
                rest.append(rows.slice(whole))
        if rest:
            self._waiting[number] = rest

    def _send(self, page: _Page, pool: ThreadPoolExecutor) -> None:
        while len(self._pages) >= self.settings.concurrency * _WAITING_PER_THREAD:
            self._collect()
        self._pages.append(page)
        pool.submit(self._carry, page)

    def _carry(self, page: _Page) -> None:
        try:
            page.settled = self._delivered(page)
        except BaseException as error:  # noqa: BLE001 - raised where the page is collected
            page.error = error
        self._over.put(page)

    def _collect(self) -> None:
        """Wait until a page is over, and record what became of it and of those that are over as well."""
        over: list[_Page] = []
        with suppress(Empty):
            over.append(self._over.get(timeout=max(0.0, self._flushed + _FLUSH_EVERY - time.monotonic())))
        if not over:
            if self._landed:
                uninterrupted(self._flush)
            over.append(self._over.get())
        while not self._over.empty():
            over.append(self._over.get())
        uninterrupted(partial(self._land_all, over))
        errors = [page.error for page in over if page.error is not None]
        if errors:
            raise next((error for error in errors if isinstance(error, DisownedError)), errors[0])

    def _land_all(self, pages: Sequence[_Page]) -> None:
        for page in pages:
            self._land(page)
        self._landed += len(pages)
        if not self._pages or time.monotonic() - self._flushed > _FLUSH_EVERY:
            self._flush()

    def _flush(self) -> None:
        self.book.flush()
        self._landed, self._flushed = 0, time.monotonic()

    def _land(self, page: _Page) -> None:
        """Record what became of a page; where that fails, what is left of it can be recorded later."""
        if page.settled is None and not isinstance(page.error, DisownedError):
            # Whether the request had left before something broke nobody knows.
            unknown = self.terms.left(page.rows, Reason.OUTCOME_UNKNOWN)
            page.settled = _Settled(lines=deque([unknown]), left=page.rows.num_rows)
        settled = page.settled or _Settled()
        while settled.lines:
            self.book.add(settled.lines[0])
            settled.lines.popleft()
        while settled.others:
            outcome = settled.others[0].outcome
            self.book.write(outcome, settled.others[0].row)
            settled.others.popleft()
            self.left += outcome.action is Action.NOT_SENT
        self._pages.remove(page)
        self.left += settled.left
        self.items.extend(settled.items)
        self.doubtful.extend(settled.doubtful)

    def _delivered(self, page: _Page) -> _Settled:
        """Bring a page to Salesforce, in a thread of the pool."""
        rows, lines = page.rows, deque[pa.RecordBatch]()
        newer: Mapping[int, str | None] = {}
        if self.newer is not None and self._stop_reason() is None:
            try:
                newer = self.newer(rows.column("key").to_pylist())
            except SalesforceLeadsError as error:
                self._halt(error)
        reason = self._stop_reason()
        if reason is not None:
            return _Settled(lines=deque([self.terms.left(rows, reason)]), left=rows.num_rows)
        if newer:
            is_newer = np.zeros(rows.num_rows, dtype=np.bool_)
            is_newer[list(newer)] = True
            lines.append(self._newer_lines(rows.filter(pa.array(is_newer)), [newer[at] for at in sorted(newer)]))
            rows = rows.filter(pa.array(~is_newer))
        if not rows.num_rows:
            return _Settled(lines=lines)
        sent = _Sent(self, rows, page.way)
        is_stale = self.plan.fresh and self._now() - page.looked_up > _FRESH
        delivery = self.sender.deliver(
            page.way.kind, sent.records, sent.recheck, recheck_first=is_stale, announce=sent.announce
        )
        if delivery.stop is not None:
            self._halt(delivery.stop)
        found = sent.settled(delivery)
        found.lines.extendleft(lines)
        return found

    def _newer_lines(self, rows: pa.RecordBatch, ids: Sequence[str | None]) -> pa.RecordBatch:
        columns = {
            "key": rows.column("key"),
            "action": pa.repeat(str(Action.UNCHANGED), rows.num_rows),
            "reason": pa.repeat(str(Reason.NEWER_RUN), rows.num_rows),
            "salesforce_id": pa.array(ids, pa.string()),
        }
        return self.terms.lines(columns)

    def settle(self, items: Sequence[Item], results: Sequence[Result]) -> Sequence[Settled | Item]:
        """Settle rows that take a closer look, by the plan's own rules."""
        try:
            return self.plan.settle(items, results, self.lookup)
        except SalesforceLeadsError as error:
            self._halt(error)
            return self.plan.settle(items, results, None)

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

    def _now(self) -> datetime:
        return self.settings.server_now()


class _Sent:
    """The rows of a page under way."""

    def __init__(self, loads: PageLoads, rows: pa.RecordBatch, way: Sending) -> None:
        self._loads, self._rows, self._way = loads, rows, way
        self._creates = way.expected is Action.CREATED
        self._began = loads.settings.server_now()
        self.records: Sequence[Record] = field_values(rows, loads.lead, by_id=way.kind.operation == "update")

    @cached_property
    def _items(self) -> PageItems:
        """The rows as the row code knows them; most pages need none of it."""
        loads = self._loads
        items = rebuild(self._rows, range(self._rows.num_rows), loads.lead, self._way)
        return PageItems(
            plan=loads.plan,
            items=items,
            lookup=loads.lookup,
            settings=loads.settings,
            tell=None,
            began=self._began,
        )

    def recheck(self, positions: Sequence[int], unanswered: Collection[int]) -> Mapping[int, Overtaken | Unsent]:
        """Look again before records are sent again."""
        return self._items.recheck(positions, unanswered)

    def announce(self, positions: Sequence[int]) -> None:
        """Say that new leads are about to be sent."""
        if self._creates:
            keys = self._rows.column("key").take(pa.array(positions)).to_pylist()
            people = people_of(self._loads.lead, (self.records[at] for at in positions))
            self._loads.announce(list(zip(keys, people, strict=True)))

    def settled(self, delivery: Delivery) -> _Settled:
        """What became of the rows: those that were plainly written by the column, the others by the plan's rules."""
        results, unanswered = delivery.results, delivery.unanswered
        plain = {
            at: result
            for at, result in enumerate(results)
            if isinstance(result, SaveResult) and result.error is None and at not in unanswered
        }
        lines = deque([self._lines(plain, delivery.batches)] if plain else [])
        if len(plain) == len(results):
            return _Settled(lines=lines)
        closer = sorted(set(range(len(results))).difference(plain))
        sent = self._items.sent(unanswered)
        items = [sent[at] for at in closer]
        found = self._loads.settle(items, [results[at] for at in closer])
        return self._sorted(items, found, [delivery.batches[at] for at in closer], lines)

    def _sorted(
        self,
        items: Sequence[Item],
        found: Sequence[Settled | Item],
        batches: Sequence[str | None],
        lines: deque[pa.RecordBatch],
    ) -> _Settled:
        loads = self._loads
        others = deque[Settled]()
        again: list[Item] = []
        doubtful: list[UnansweredRow] = []
        is_repeatable = loads.plan.repeatable or not self._creates
        for item, line, batch in zip(items, found, batches, strict=True):
            if isinstance(line, Item):
                again.append(line)
            elif line.outcome.reason == Reason.OUTCOME_UNKNOWN and not is_repeatable:
                doubt = UnansweredSend(
                    since=loads.settings.began, last=loads.settings.server_now(), user_ids=loads.settings.user_ids
                )
                doubtful.append(UnansweredRow(item=item, doubt=doubt, batch=batch))
            else:
                outcome = replace(line.outcome, api="collections" if batch else None, batch=batch)
                others.append(replace(line, outcome=loads.terms.stamped(outcome)))
        return _Settled(lines=lines, others=others, items=again, doubtful=doubtful)

    def _lines(self, written: Mapping[int, SaveResult], batches: Sequence[str | None]) -> pa.RecordBatch:
        """The lines of rows that were written; where the reply does not say how, what was known before decides."""
        results, count = written.values(), len(written)
        rows = self._rows if count == self._rows.num_rows else self._rows.take(pa.array(list(written)))
        expected = str(self._way.expected)
        words = {None: expected, True: str(Action.CREATED), False: str(Action.UPDATED)}
        says_how = self._way.kind.operation != "update"
        ids = pa.array([result.id for result in results], pa.string())
        columns = {
            "key": rows.column("key"),
            "action": pa.array([words[result.created] if says_how else expected for result in results], pa.string()),
            "salesforce_id": pa.compute.coalesce(id_strings(id_bytes(ids)), rows.column("salesforce_id")),
            "api": pa.repeat("collections", count),
            "batch": pa.array([batches[at] for at in written], pa.string()),
            "old_stage": rows.column("old_stage"),
            "new_stage": rows.column("new_stage"),
        }
        return self._loads.terms.lines(columns)


def _windows(batches: Iterator[pa.RecordBatch], size: int) -> Iterator[pa.RecordBatch]:
    """Cut batches into windows of so many rows; rows of different columns lie in different windows."""
    held: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if held and batch.schema != held[0].schema:
            yield pa.concat_batches(held)
            held, rows = [], 0
        start = 0
        while batch.num_rows - start >= size - rows:
            piece = batch.slice(start, size - rows)
            yield pa.concat_batches([*held, piece]) if held else piece
            start, held, rows = start + size - rows, [], 0
        if start < batch.num_rows:
            held.append(batch.slice(start))
            rows += batch.num_rows - start
    if held:
        yield pa.concat_batches(held)


def _of_one_schema(batches: Sequence[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    run: list[pa.RecordBatch] = []
    for batch in batches:
        if run and batch.schema != run[0].schema:
            yield run
            run = []
        run.append(batch)
    if run:
        yield run
