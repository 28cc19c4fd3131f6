"""Have some pages at a time on their way to Salesforce, and record what becomes of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.exceptions import DisownedError
from airflow_provider_sfleads.pipeline.page import ItemPage, Page, PageDelivery, PageOutcome
from airflow_provider_sfleads.pipeline.plan import Item, Settled
from airflow_provider_sfleads.pipeline.ports import ResultsSink
from airflow_provider_sfleads.pipeline.reconcile import UnansweredRow

# Pages that may wait for a free thread: enough that reading never starves the threads, few enough to hold.
_WAITING_PER_THREAD = 4
# Seconds: where pages come back faster, several are made durable together.
_FLUSH_EVERY = 0.2


@dataclass(slots=True, kw_only=True)
class PagesInFlight:
    """Pages on their way, to be entered as a context.

    Where something that is no outcome breaks the block (a bug, a signal), what is in flight is still recorded before
    it goes on; what is not recorded then, the results do not know. Where another process has the task, what is in
    flight is that one's to find out about.

    :param delivery: brings a page to Salesforce.
    :param sink: where outcomes go.
    :param items: what is to be sent of rows that met a lead which the look-up had not found.
    :param doubtful: rows that got no answer and may not simply be sent again.
    :param left: rows that were not sent, for this or that reason.
    """

    delivery: PageDelivery
    sink: ResultsSink
    items: deque[Item] = field(default_factory=deque)
    doubtful: deque[UnansweredRow] = field(default_factory=deque)
    left: int = 0
    pool: ThreadPoolExecutor = field(init=False)
    _pages: list[Page | ItemPage] = field(default_factory=list)
    _over: SimpleQueue[Page | ItemPage] = field(default_factory=SimpleQueue)
    _unflushed: int = 0
    _flushed: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        self.pool = ThreadPoolExecutor(self.delivery.terms.concurrency, thread_name_prefix="salesforce")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.delivery.terms.stop.set()
        if error is not None and not isinstance(error, DisownedError):
            uninterrupted(self._wind_up)
        else:
            self.pool.shutdown()

    def _wind_up(self) -> None:
        self.pool.shutdown(cancel_futures=True)
        over = [page for page in self._pages if page.outcome is not None or page.error is not None]
        self._record_pages(over)
        for page in over:
            if isinstance(page.error, DisownedError):
                raise page.error

    def send(self, page: Page | ItemPage) -> None:
        """Let a page leave as soon as there is room."""
        while len(self._pages) >= self.delivery.terms.concurrency * _WAITING_PER_THREAD:
            self.collect()
        self._pages.append(page)
        self.pool.submit(self._deliver, page)

    def _deliver(self, page: Page | ItemPage) -> None:
        try:
            page.outcome = self.delivery.deliver(page)
        except BaseException as error:  # noqa: BLE001 - raised where the page is collected
            page.error = error
        self._over.put(page)

    def collect_all(self) -> None:
        """Wait until all pages have landed."""
        while self._pages:
            self.collect()

    def collect(self) -> None:
        """Wait until a page is over, and record what became of it and of those that are over as well."""
        over: list[Page | ItemPage] = []
        with suppress(Empty):
            over.append(self._over.get(timeout=max(0.0, self._flushed + _FLUSH_EVERY - time.monotonic())))
        if not over:
            if self._unflushed:
                uninterrupted(self._flush)
            over.append(self._over.get())
        while not self._over.empty():
            over.append(self._over.get())
        uninterrupted(partial(self._record_pages, over))
        errors = [page.error for page in over if page.error is not None]
        if errors:
            raise next((error for error in errors if isinstance(error, DisownedError)), errors[0])

    def _record_pages(self, pages: Sequence[Page | ItemPage]) -> None:
        for page in pages:
            if page.outcome is None and not isinstance(page.error, DisownedError):
                # Whether the request had left before something broke nobody knows.
                page.outcome = page.left(self.delivery, Reason.OUTCOME_UNKNOWN)
            self._record(page.outcome or PageOutcome())
            self._pages.remove(page)
        self._unflushed += len(pages)
        if not self._pages or time.monotonic() - self._flushed > _FLUSH_EVERY:
            self._flush()

    def _record(self, outcome: PageOutcome) -> None:
        """Record what became of a page; where that fails, what is left of it can be recorded later."""
        while outcome.lines:
            self.sink.add(outcome.lines[0])
            outcome.lines.popleft()
        self._write(outcome.others)
        self.left += outcome.left
        self.items.extend(outcome.items)
        self.doubtful.extend(outcome.doubtful)

    def record(self, lines: deque[Settled]) -> None:
        """Record rows that need no page."""
        if lines:
            # A signal that strikes while outcomes are taken down would leave them half done.
            uninterrupted(partial(self._write, lines))

    def _write(self, lines: deque[Settled]) -> None:
        while lines:
            outcome = lines[0].outcome
            self.sink.write(outcome, lines[0].row if outcome.action is Action.REJECTED else None)
            self.left += lines.popleft().outcome.action is Action.NOT_SENT

    def _flush(self) -> None:
        self.sink.flush()
        self._unflushed, self._flushed = 0, time.monotonic()
