"""Pages on their way: whatever strikes while they are handed over, no item is carried twice, and each lands once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.pipeline.plan import Candidate, Item, Settled
from airflow_provider_sfleads.pipeline.row_run import Line, PagesInFlight
from airflow_provider_sfleads.salesforce.collections import PageKind

KIND = PageKind(operation="insert")


class Interrupted(BaseException):
    """A signal."""


class Struck(Executor):
    """An executor that is interrupted right after it has taken the n-th page."""

    def __init__(self, pool: Executor, at: int) -> None:
        self._pool, self._left = pool, at

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take a page."""
        future = self._pool.submit(fn, *args, **kwargs)
        self._left -= 1
        if self._left == 0:
            raise Interrupted
        return future


def item(number: int) -> Item:
    """An item."""
    return Item(candidate=Candidate(key=str(number), row={}, record={}), kind=KIND, record={}, expected=Action.CREATED)


def line(one: Item) -> Line:
    """It was created."""
    return Settled(outcome=Outcome(key=one.candidate.key, action=Action.CREATED), row={}), "1"


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 7, 8])
def test_a_page_is_carried_once(at: int, count: int) -> None:
    """The interrupted page lands as unknown, since nobody hears of it; the others as what became of them."""
    carried: list[str] = []
    landed: dict[str, Outcome] = {}

    def deliver(_kind: PageKind, items: list[Item], _since: datetime) -> list[Line]:
        carried.extend(one.candidate.key for one in items)
        return [line(one) for one in items]

    def land(items: Sequence[Item], lines: Sequence[Line]) -> None:
        for one, (settled, _) in zip(items, lines, strict=True):
            assert one.candidate.key not in landed
            assert isinstance(settled, Settled)
            landed[one.candidate.key] = settled.outcome

    flights = PagesInFlight(batch_size=2, concurrency=1, deliver=deliver, land=land, now=lambda: datetime.now(UTC))
    with ThreadPoolExecutor(1) as pool:
        struck = Struck(pool, at)
        added = 0
        try:
            for number in range(count):
                added += 1
                flights.add(item(number), struck)
            flights.flush(struck)
        except Interrupted:
            flights.flush(struck)
        flights.collect_all()
    assert len(flights) == 0
    assert sorted(carried, key=int) == sorted(landed, key=int) == [str(number) for number in range(added)]
    unknown = [key for key, outcome in landed.items() if outcome.reason == Reason.OUTCOME_UNKNOWN]
    assert len(unknown) == (0 if at > -(-count // 2) else min(2, count - 2 * (at - 1)))


def test_a_page_that_breaks_lands_as_unknown() -> None:
    """What it was broken by goes on, once the page has landed."""
    landed: list[Outcome] = []

    def deliver(_kind: PageKind, _items: list[Item], _since: datetime) -> list[Line]:
        raise OSError("no space")

    flights = PagesInFlight(
        batch_size=1,
        concurrency=1,
        deliver=deliver,
        land=lambda _items, lines: landed.extend(each.outcome for each, _ in lines if isinstance(each, Settled)),
        now=lambda: datetime.now(UTC),
    )
    with ThreadPoolExecutor(1) as pool:
        flights.add(item(1), pool)
        with pytest.raises(OSError, match="no space"):
            flights.collect_all()
    assert [outcome.reason for outcome in landed] == ["outcome_unknown"]
    assert len(flights) == 0
