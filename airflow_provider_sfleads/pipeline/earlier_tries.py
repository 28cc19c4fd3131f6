"""What was done before a run, as far as it keeps a row from being sent."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_sfleads.core.outcome import Reason, UnansweredSend
from airflow_provider_sfleads.pipeline.plan import Candidate, Item, Settled, unchanged
from airflow_provider_sfleads.pipeline.ports import Earlier
from airflow_provider_sfleads.pipeline.reconcile import UnansweredRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was done before.

    :param earlier: what earlier tries and executions did, where that matters.
    """

    earlier: Earlier | None = None

    def settles(self, candidate: Candidate) -> bool:
        """Whether an earlier try recorded such a row already."""
        return self.earlier is not None and self.earlier.settled(candidate.key)

    def reason(self, key: str, otherwise: Reason) -> Reason:
        """Why a row is not sent: what nobody knows of it goes before anything else, lest it be forgotten."""
        return otherwise if self.doubt(key) is None else Reason.OUTCOME_UNKNOWN

    def doubt(self, key: str) -> UnansweredSend | None:
        """When, and as whom, a row was sent before, where nobody has learned what became of it."""
        return None if self.earlier is None else self.earlier.unknown(key)

    def sent(self, item: Item) -> Settled | UnansweredRow | None:
        """What is known of an item that cannot simply be sent, since that could create its lead a second time."""
        if self.earlier is None:
            return None
        lead_id = self.earlier.created(item.candidate.key)
        if lead_id is not None:
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id)
        doubt = self.earlier.unknown(item.candidate.key)
        return None if doubt is None else UnansweredRow(item=item, doubt=doubt)
