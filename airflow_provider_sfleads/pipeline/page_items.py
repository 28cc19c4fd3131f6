"""The items of one page under way, and which of them a request without an answer carried."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_provider_sfleads.core.outcome import Action, UnansweredSend
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.outcomes import Overtaken, Unsent
from airflow_provider_sfleads.pipeline.plan import Item, Plan
from airflow_provider_sfleads.pipeline.ports import Settings

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
