"""What an insert meets: a lead that was there before, or one that an earlier sending of the same row made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_provider_sfleads.core.collections import PageKind, Verdict
from airflow_provider_sfleads.core.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.core.ids import to_18
from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.replies import ApiError, duplicate_fields, duplicate_id
from airflow_provider_sfleads.core.same import made_of, same_record
from airflow_provider_sfleads.sync.answers import Overtaken, Result, Unsent
from airflow_provider_sfleads.sync.lookup import LeadRecord
from airflow_provider_sfleads.sync.made import Claim, Window
from airflow_provider_sfleads.sync.overtaken import CONVERTED, code_of
from airflow_provider_sfleads.sync.plan import Candidate, Item, Settled, unchanged
from airflow_provider_sfleads.sync.settling import not_sent, rejected, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounters:
    """Tells what a failed, or unanswered, insert means.

    :param lead: the org's Lead.
    :param external: external-ID field that holds the key.
    :param known: what a lead that exists is updated as; ``None`` where it is not, or where it may exist twice.
    :param late: how long after it was sent a call may still take effect.
    :param claim: takes leads for rows of this run.
    """

    lead: SObjectInfo
    external: FieldInfo | None
    existing: str
    known: PageKind | None
    late: timedelta
    claim: Claim

    def is_unclear(self, item: Item, result: Result) -> bool:
        """Whether only a look can tell what an error, or a missing answer, means."""
        if self.external is None or item.expected is not Action.CREATED or isinstance(result, Overtaken):
            return False
        is_doubtful = item.candidate.doubt is not None
        if isinstance(result, Unsent):
            return is_doubtful
        if result.error is None:
            # An upsert that found a lead: its own earlier sending, carried out late, may have made that.
            return is_doubtful and result.created is False
        # Duplicate rules run before the uniqueness check: a lead that exists may meet either first.
        if result.error.code == "DUPLICATES_DETECTED" or code_of(result) == CONVERTED:
            return True
        return result.error.code == "DUPLICATE_VALUE" and (is_doubtful or self._met(result.error) is None)

    def own(self, met: Iterable[tuple[Candidate, LeadRecord]]) -> frozenset[str]:
        """Return the ids of those leads that rows met which the rows' own earlier requests made.

        Each was made when the row was in a request without an answer, by the user who sent that, with the values that
        were sent, and no other row has it.
        """
        found: dict[str, datetime] = {}
        for candidate, lead in met:
            if candidate.doubt is None:
                continue
            window = Window.of([candidate.doubt], self.late)
            if window.is_of(lead) and made_of(self.lead, candidate.record, lead):
                found[to_18(lead["Id"]) or lead["Id"]] = window.since
        return frozenset(found) - set(self.claim(list(found), min(found.values()))) if found else frozenset()

    def settled(
        self, item: Item, result: Result, present: Sequence[LeadRecord], own: Collection[str]
    ) -> Settled | Item:
        """The outcome of a row, or what is sent of it instead.

        :param present: the leads found with its key, where they were looked for.
        :param own: leads that rows' own earlier requests made.
        """
        if isinstance(result, Overtaken):
            return Settled(outcome=result.outcome, row=item.candidate.row)
        if len(present) == 1:
            known = self.present(item, result, present[0], own)
            if known is not None:
                return known
        if isinstance(result, Unsent):
            return not_sent(item, result)
        if result.error is None:
            return written(item, result)
        met = self._met(result.error)
        if met is not None:
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=met)
        return rejected(item, result)

    def present(
        self, item: Item, result: Verdict | Unsent, lead: LeadRecord, own: Collection[str]
    ) -> Settled | Item | None:
        """What a lead that is there means for its row; ``None`` where the answer itself says it."""
        lead_id, contact_id = to_18(lead["Id"]) or lead["Id"], lead.get("ConvertedContactId")
        if lead_id in own:
            return written(item, Verdict(id=lead_id, created=True))
        if isinstance(result, Verdict) and result.error is None:
            return None
        if self.existing == "skip":
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id, contact_id=contact_id)
        if lead.get("IsConverted"):
            return unchanged(item.candidate, Reason.CONVERTED, salesforce_id=lead_id, contact_id=contact_id)
        if self.known is None and isinstance(result, Unsent):
            # Another lead may still come of it.
            return None
        return self._updated(item, lead, lead_id)

    def _updated(self, item: Item, lead: LeadRecord, lead_id: str) -> Settled | Item:
        if same_record(self.lead, item.record, lead):
            return unchanged(item.candidate, Reason.SAME_VALUES, salesforce_id=lead_id)
        if self.known is None:
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id)
        # Somebody else made it, with other values.
        candidate = replace(item.candidate, doubt=None)
        return replace(item, candidate=candidate, kind=self.known, expected=Action.UPDATED, salesforce_id=lead_id)

    def _met(self, error: ApiError) -> str | None:
        """Id of the lead that holds the external ID already, where the error names it."""
        if self.external is None or self.external.name not in duplicate_fields(error):
            return None
        return duplicate_id(error)
