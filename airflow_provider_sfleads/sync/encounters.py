"""What an insert meets: a lead that was there before, or one that an earlier sending of the same row made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_sfleads.core.collections import Verdict
from airflow_provider_sfleads.core.describe import FieldInfo
from airflow_provider_sfleads.core.ids import to_18
from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.replies import ApiError, duplicate_fields, duplicate_id
from airflow_provider_sfleads.sync.answers import Overtaken, Result, Unsent
from airflow_provider_sfleads.sync.lookup import LeadRecord
from airflow_provider_sfleads.sync.plan import Item, Settled, unchanged
from airflow_provider_sfleads.sync.settling import not_sent, rejected, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounters:
    """Tells what a failed, or unanswered, insert means.

    :param external: external-ID field that holds the key.
    :param existing: ``skip`` or ``update``.
    :param user_id: the integration user.
    :param started: the execution's start by Salesforce's clock.
    :param resumed: whether an earlier try of the execution may have sent rows that it could not record.
    """

    external: FieldInfo | None
    existing: str
    user_id: str | None
    started: datetime
    resumed: bool

    def is_unclear(self, item: Item, result: Result) -> bool:
        """Whether only a look can tell what an error, or a missing answer, means."""
        if self.external is None or item.expected is not Action.CREATED:
            return False
        if isinstance(result, Unsent):
            return result.reason is Reason.OUTCOME_UNKNOWN
        if not isinstance(result, Verdict) or result.error is None:
            return False
        # Duplicate rules run before the uniqueness check: a lead that exists may meet either first.
        if result.error.code == "DUPLICATES_DETECTED":
            return True
        doubtful = result.repeated or self.resumed
        return result.error.code == "DUPLICATE_VALUE" and (doubtful or self._met(result.error) is None)

    def settled(self, item: Item, result: Result, present: Sequence[LeadRecord] | None) -> Settled:
        """The outcome of a row.

        :param present: the leads found with its key, where they were looked for.
        """
        if isinstance(result, Overtaken):
            return Settled(outcome=result.outcome, row=item.candidate.row)
        if isinstance(result, Verdict) and result.error is None:
            return written(item, result)
        if present and len(present) == 1:
            return self._present(item, result, present[0])
        if isinstance(result, Unsent):
            return not_sent(item, result)
        met = self._met(result.error) if result.error else None
        if met is not None:
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=met)
        return rejected(item, result)

    def is_ours(self, lead: LeadRecord) -> bool:
        """Whether this integration user created the lead since the execution began."""
        created = datetime.fromisoformat(str(lead["CreatedDate"]))
        by = to_18(str(lead["CreatedById"]))
        return created >= self.started and by == to_18(self.user_id or "")

    def _met(self, error: ApiError) -> str | None:
        """Id of the lead that holds the external ID already, where the error names it."""
        if self.external is None or self.external.name not in duplicate_fields(error):
            return None
        return duplicate_id(error)

    def _present(self, item: Item, result: Verdict | Unsent, lead: LeadRecord) -> Settled:
        """The lead is there: made by this execution, or by somebody else before."""
        lead_id = to_18(lead["Id"])
        doubtful = isinstance(result, Unsent) or result.repeated or self.resumed
        if doubtful and self.is_ours(lead):
            return written(item, Verdict(id=lead_id, created=True))
        updates = self.existing == "update"
        if isinstance(result, Unsent) and updates:
            # It is there, but whether with these values is not known: the retry compares them.
            return not_sent(item, result)
        reason = Reason.CONVERTED if updates and lead.get("IsConverted") else Reason.ALREADY_EXISTS
        contact_id = lead.get("ConvertedContactId")
        return unchanged(item.candidate, reason, salesforce_id=lead_id, contact_id=contact_id)
