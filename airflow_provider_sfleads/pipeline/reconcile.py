"""The rows of a run that were sent without an answer, by it or before it, and what is done about them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_sfleads.core.outcome import Reason, UnansweredSend
from airflow_provider_sfleads.exceptions import SalesforceLeadsError
from airflow_provider_sfleads.pipeline.lead_search import LeadSearch, Presence, SearchResult
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.plan import Item, Settled, Unsent, not_sent, written
from airflow_provider_sfleads.salesforce.collections import SaveResult

log = logging.getLogger(__name__)

#: Rows that are asked about together.
GROUP = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UnansweredRow:
    """A row in doubt.

    :param item: what was sent, or would be.
    :param doubt: when, and by whom.
    :param batch: number of the request that carried it; ``None`` where an earlier try sent it.
    """

    item: Item
    doubt: UnansweredSend
    batch: str | None = None


@dataclass(slots=True)
class Reconciliation:
    """Brings rows in doubt to an outcome, or to another sending where their leads are surely absent.

    :param search: asks Salesforce; ``None`` where nothing can be asked.
    :param known_from: from when on all of what is open now can be settled by asking.
    :param are_open: whether any row was left open.
    """

    search: LeadSearch | None = None
    known_from: datetime | None = None
    are_open: bool = False
    _in_part: bool = False

    def answers(
        self, rows: Sequence[UnansweredRow], lookup: LeadLookup, *, may_ask: bool, are_all: bool
    ) -> Iterator[Settled | Item]:
        """Yield for each row its outcome, or the item to send.

        :param may_ask: whether there is time to ask.
        :param are_all: whether no other row of the run is in doubt.
        """
        self._in_part = self._in_part or not are_all
        results = (
            self._searched(rows, lookup) if may_ask else _open(len(rows), "not looked up, since the task was stopped")
        )
        counts = Counter(result.presence for result in results)
        log.info(
            "Of %d rows that were sent without an answer %d are there, %d are not, and of %d nobody can tell yet.",
            *(len(rows), counts[Presence.THERE], counts[Presence.ABSENT], counts[Presence.OPEN]),
        )
        for row, result in zip(rows, results, strict=True):
            if result.presence is Presence.THERE:
                yield written(row.item, SaveResult(id=result.lead_id, created=True))
            elif result.presence is Presence.ABSENT:
                yield replace(row.item, candidate=replace(row.item.candidate, doubt=None))
            else:
                yield self._left(row.item, result)

    def _left(self, item: Item, result: SearchResult) -> Settled:
        self.are_open = True
        if result.known_from is not None:
            self.known_from = max(self.known_from or result.known_from, result.known_from)
        return not_sent(item, Unsent(reason=Reason.OUTCOME_UNKNOWN, message=result.why))

    def _searched(self, rows: Sequence[UnansweredRow], lookup: LeadLookup) -> Sequence[SearchResult]:
        if self.search is None:
            return _open(len(rows), "sent without an answer")
        try:
            return self.search.ask([(row.item, row.doubt) for row in rows], lookup, are_all=not self._in_part)
        except SalesforceLeadsError as error:
            log.error("What became of %d rows cannot be asked: %s", len(rows), error)  # noqa: TRY400 - it says it all
            return _open(len(rows), f"cannot be looked up: {error}")


def _open(count: int, why: str) -> Sequence[SearchResult]:
    return [SearchResult(presence=Presence.OPEN, why=why)] * count
