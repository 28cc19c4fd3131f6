"""Pages of items on their way to Salesforce, some at a time; an item is in exactly one of them until it lands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from datetime import datetime

from airflow_provider_sfleads.pipeline.outcomes import UNKNOWN, not_sent
from airflow_provider_sfleads.pipeline.plan import Item, Settled
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
