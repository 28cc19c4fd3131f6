"""Send staged rows by pages of sObject Collections: look up, send and settle, some pages at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.exceptions import DisownedError, SalesforceLeadsError
from airflow_provider_sfleads.pipeline.digests import Positions
from airflow_provider_sfleads.pipeline.lookup import Memory, Reading, Stopped
from airflow_provider_sfleads.pipeline.lookup_decide import Decisions, decide
from airflow_provider_sfleads.pipeline.lookup_index import bools
from airflow_provider_sfleads.pipeline.lookup_sources import read_by_calls
from airflow_provider_sfleads.pipeline.page import Page, PageDelivery, PageOutcome
from airflow_provider_sfleads.pipeline.plan import Item
from airflow_provider_sfleads.pipeline.ports import Earlier, ResultsSink
from airflow_provider_sfleads.pipeline.reconcile import UnansweredRow
from airflow_provider_sfleads.pipeline.settled_rows import chosen, record_settled
from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Pieces
from airflow_provider_sfleads.pipeline.staged_rows import Sending

# Rows that are looked up together: with sObject Collections one call reads so many leads.
_WINDOW = 2_000
# Pages that may wait for a free thread: enough that reading never starves the threads, few enough to hold.
_WAITING_PER_THREAD = 4
# Seconds: where pages come back faster, several are made durable together.
_FLUSH_EVERY = 0.2


@dataclass(slots=True, kw_only=True)
class PageLoads:
    """Sends staged rows by pages; after :meth:`carry_out`, the fields say what is left for others.

    :param book: where outcomes go.
    :param reading: what a look-up reads with.
    :param memory: Lead ids seen.
    :param delivery: brings a page to Salesforce.
    :param earlier: what earlier tries did, where that matters.
    :param items: what is to be sent of rows that met a lead which the look-up had not found.
    :param doubtful: rows that got no answer and may not simply be sent again.
    :param apart: of each piece, by name, the places of the rows that have to be looked at one by one.
    :param left: rows that were not sent, for this or that reason.
    """

    pieces: Pieces
    book: ResultsSink
    reading: Reading
    memory: Memory
    delivery: PageDelivery
    earlier: Earlier | None
    items: list[Item] = field(default_factory=list)
    doubtful: list[UnansweredRow] = field(default_factory=list)
    apart: dict[str, list[int]] = field(default_factory=dict)
    left: int = 0
    _waiting: dict[int, list[pa.RecordBatch]] = field(default_factory=dict)
    _pages: list[Page] = field(default_factory=list)
    _over: SimpleQueue[Page] = field(default_factory=SimpleQueue)
    _unflushed: int = 0
    _flushed: float = field(default_factory=time.monotonic)

    def carry_out(self, pieces: Sequence[Piece]) -> None:
        """Bring the rows of pieces to an outcome, but for those that :attr:`apart` and the other fields name.

        Where something that is no outcome breaks the run (a bug, a signal), what is in flight is still recorded before
        it goes on; what is not recorded then, the results do not know.

        :raises DisownedError: where another process has the task; what is in flight is that one's to find out about.
        """
        settings = self.delivery.settings
        with ThreadPoolExecutor(settings.concurrency, thread_name_prefix="salesforce") as pool:
            try:
                for piece in pieces:
                    self._take(piece, pool)
                self._submit(pool, self.delivery.settings.server_now(), all_of_them=True)
                while self._pages:
                    self._collect()
            except DisownedError:
                settings.stop.set()
                raise
            except BaseException:
                settings.stop.set()
                uninterrupted(partial(self._wind_up, pool))
                raise

    def _wind_up(self, pool: ThreadPoolExecutor) -> None:
        pool.shutdown(wait=True, cancel_futures=True)
        over = [page for page in self._pages if page.outcome is not None or page.error is not None]
        self._land(over)
        for page in over:
            if isinstance(page.error, DisownedError):
                raise page.error

    def _take(self, piece: Piece, pool: ThreadPoolExecutor) -> None:
        """Look the rows of a piece up, and let pages leave as they fill."""
        apart = self.apart.setdefault(piece.name, [])
        start = 0
        with self.pieces.reading(piece) as batches:
            for window in _groups(batches, _WINDOW):
                rows, places = list[pa.RecordBatch](), list[Positions]()
                for batch in window:
                    is_open = self._is_open(batch, start, apart)
                    rows.append(chosen(batch, is_open))
                    places.append(start + np.flatnonzero(is_open))
                    start += batch.num_rows
                if any(batch.num_rows for batch in rows):
                    self._look_up(rows, np.concatenate(places), apart, pool)

    def _is_open(self, batch: pa.RecordBatch, start: int, apart: list[int]) -> npt.NDArray[np.bool_]:
        """Which rows are simply to be sent; of the others some are settled, and some may be there already."""
        is_open = ~bools(batch.column("tail"))
        apart.extend((start + np.flatnonzero(~is_open)).tolist())
        if self.earlier is not None:
            for position, key in enumerate(batch.column("key").to_pylist()):
                if is_open[position] and self.earlier.settled(key):
                    is_open[position] = False
                elif is_open[position] and (self.earlier.unknown(key) or self.earlier.created(key)) is not None:
                    is_open[position] = False
                    apart.append(start + position)
        return is_open

    def _look_up(
        self, rows: Sequence[pa.RecordBatch], places: Positions, apart: list[int], pool: ThreadPoolExecutor
    ) -> None:
        # Before they are read: what changes from then on may be missing.
        looked_up = self.delivery.settings.server_now()
        decisions = self._decisions(rows) if self.delivery.stop_reason is None else None
        # A signal that strikes while outcomes are taken down would leave them half done.
        if decisions is None:
            uninterrupted(partial(self._leave, rows, self.delivery.stop_reason or Reason.STOPPED))
        else:
            uninterrupted(partial(self._sort_out, rows, decisions, places, apart))
            self._submit(pool, looked_up, all_of_them=self.delivery.plan.fresh)

    def _decisions(self, rows: Sequence[pa.RecordBatch]) -> Decisions | None:
        try:
            return decide(self.delivery.plan, lambda: iter(rows), self.reading, self.memory, read=read_by_calls)
        except Stopped:
            return None
        except SalesforceLeadsError as error:
            self.delivery.halt(error)
            return None

    def _leave(self, rows: Sequence[pa.RecordBatch], reason: Reason) -> None:
        for batch in rows:
            self.book.add(self.delivery.terms.left(batch, reason))
            self.left += batch.num_rows

    def _sort_out(
        self, rows: Sequence[pa.RecordBatch], decisions: Decisions, places: Positions, apart: list[int]
    ) -> None:
        """Record what the look-up has settled, and put the other rows on pages."""
        start = 0
        for batch in rows:
            found = record_settled(self.book, self.delivery.terms, batch, decisions, start)
            apart.extend(places[start : start + batch.num_rows][found.undecided].tolist())
            for number, placed in found.ways.items():
                self._waiting.setdefault(number, []).append(placed)
            start += batch.num_rows

    def _submit(self, pool: ThreadPoolExecutor, looked_up: datetime, *, all_of_them: bool) -> None:
        """Let full pages leave, or all of them.

        :param looked_up: when the last of their leads were looked up.
        """
        size = self.delivery.settings.batch_size
        for number, (kind, expected) in enumerate(self.delivery.plan.ways):
            way = Sending(kind=kind, expected=expected)
            for batches in _groups(self._waiting.pop(number, []), size):
                if all_of_them or sum(batch.num_rows for batch in batches) == size:
                    self._send(Page(batches, way, looked_up), pool)
                else:
                    self._waiting[number] = batches

    def _send(self, page: Page, pool: ThreadPoolExecutor) -> None:
        while len(self._pages) >= self.delivery.settings.concurrency * _WAITING_PER_THREAD:
            self._collect()
        self._pages.append(page)
        pool.submit(self._deliver, page)

    def _deliver(self, page: Page) -> None:
        try:
            page.outcome = self.delivery.deliver(page)
        except BaseException as error:  # noqa: BLE001 - raised where the page is collected
            page.error = error
        self._over.put(page)

    def _collect(self) -> None:
        """Wait until a page is over, and record what became of it and of those that are over as well."""
        over: list[Page] = []
        with suppress(Empty):
            over.append(self._over.get(timeout=max(0.0, self._flushed + _FLUSH_EVERY - time.monotonic())))
        if not over:
            if self._unflushed:
                uninterrupted(self._flush)
            over.append(self._over.get())
        while not self._over.empty():
            over.append(self._over.get())
        uninterrupted(partial(self._land, over))
        errors = [page.error for page in over if page.error is not None]
        if errors:
            raise next((error for error in errors if isinstance(error, DisownedError)), errors[0])

    def _land(self, pages: Sequence[Page]) -> None:
        for page in pages:
            if page.outcome is None and not isinstance(page.error, DisownedError):
                # Whether the request had left before something broke nobody knows.
                page.outcome = self.delivery.unsent(page, Reason.OUTCOME_UNKNOWN)
            self._record(page.outcome or PageOutcome())
            self._pages.remove(page)
        self._unflushed += len(pages)
        if not self._pages or time.monotonic() - self._flushed > _FLUSH_EVERY:
            self._flush()

    def _record(self, outcome: PageOutcome) -> None:
        """Record what became of a page; where that fails, what is left of it can be recorded later."""
        while outcome.lines:
            self.book.add(outcome.lines[0])
            outcome.lines.popleft()
        while outcome.others:
            self.book.write(outcome.others[0].outcome, outcome.others[0].row)
            self.left += outcome.others.popleft().outcome.action is Action.NOT_SENT
        self.left += outcome.left
        self.items.extend(outcome.items)
        self.doubtful.extend(outcome.doubtful)

    def _flush(self) -> None:
        self.book.flush()
        self._unflushed, self._flushed = 0, time.monotonic()


def _groups(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[list[pa.RecordBatch]]:
    """Cut batches into groups of so many rows each; the last may have fewer."""
    group: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            piece = batch.slice(start, size - rows)
            group.append(piece)
            start, rows = start + piece.num_rows, rows + piece.num_rows
            if rows == size:
                yield group
                group, rows = [], 0
    if group:
        yield group
