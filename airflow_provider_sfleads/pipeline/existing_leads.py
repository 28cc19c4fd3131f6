"""What an insert meets: a lead that was there before, or one that an earlier sending of the same row made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.same import made_of, same_record
from airflow_provider_sfleads.core.stage import StageRule, why_left_alone
from airflow_provider_sfleads.pipeline.lead_search import Claim, Window
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.plan import (
    Candidate,
    Item,
    Overtaken,
    Result,
    Settled,
    Unsent,
    not_sent,
    rejected,
    unchanged,
    written,
)
from airflow_provider_sfleads.salesforce.collections import PageKind, SaveResult
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.error_codes import Meaning
from airflow_provider_sfleads.salesforce.ids import full_id
from airflow_provider_sfleads.salesforce.replies import ApiError, duplicate_fields, duplicate_id


@dataclass(frozen=True, slots=True)
class StageMove:
    """A move to a stage.

    :param rule: the stage, and its ladder.
    :param field: Lead field that holds the stage.
    """

    rule: StageRule
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingLeads:
    """Tells what a failed, or unanswered, insert means.

    :param lead: the org's Lead.
    :param external: external-ID field that holds the key.
    :param update: what a lead that exists is updated as, by its id.
    :param unique: whether no lead can exist twice.
    :param late: how long after it was sent a call may still take effect.
    :param claim: takes leads for rows of this run.
    """

    lead: SObjectInfo
    external: FieldInfo | None
    existing: str
    update: PageKind
    unique: bool
    late: timedelta
    claim: Claim
    _unique_names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Note which fields a duplicate value may be of."""
        names = tuple(info.name for info in self.lead.fields.values() if info.unique)
        object.__setattr__(self, "_unique_names", names)

    def is_unclear(self, item: Item, result: Result) -> bool:
        """Return whether only a look can tell what an error, or a missing answer, means."""
        if self.external is None or isinstance(result, Overtaken):
            return False
        if item.expected is not Action.CREATED:
            return self._may_be_taken(item, result)
        is_doubtful = item.candidate.doubt is not None
        if isinstance(result, Unsent):
            return is_doubtful
        if result.error is None:
            # An upsert that found a lead: its own earlier sending, carried out late, may have made that.
            return is_doubtful and result.created is False
        # Duplicate rules run before the uniqueness check: a lead that exists may meet either first.
        if result.meaning in (Meaning.LEAD_MAY_EXIST, Meaning.LEAD_CONVERTED):
            return True
        return result.meaning is Meaning.LEAD_EXISTS and (is_doubtful or self._met(item, result.error) is None)

    def _may_be_taken(self, item: Item, result: Result) -> bool:
        """Return whether another lead may have taken the key of a row whose lead was found.

        An error that names another unique field, and not the key's, says that it has not.
        """
        if (
            self.external is None
            or meaning_of(result) is not Meaning.LEAD_EXISTS
            or self.external.name not in item.record
        ):
            return False
        named = self._named(result.error) if isinstance(result, SaveResult) and result.error else ()
        return not named or self.external.name in named

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
                found[full_id(lead["Id"])] = window.since
        return frozenset(found) - set(self.claim(list(found), min(found.values()))) if found else frozenset()

    def settled(
        self, item: Item, result: Result, present: Sequence[LeadRecord], own: Collection[str]
    ) -> Settled | Item:
        """Return the outcome of a row, or what is sent of it instead.

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
        met = self._met(item, result.error)
        if met is not None:
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=met)
        return rejected(item, result)

    def present(
        self, item: Item, result: SaveResult | Unsent, lead: LeadRecord, own: Collection[str]
    ) -> Settled | Item | None:
        """Return what a lead that is there means for its row; ``None`` where the answer itself says it."""
        lead_id, contact_id = full_id(lead["Id"]), lead.get("ConvertedContactId")
        if lead_id in own and item.expected is Action.CREATED:
            return written(item, SaveResult(id=lead_id, created=True))
        if isinstance(result, SaveResult) and result.error is None:
            return None
        if self.existing == "skip":
            return unchanged(item.candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id, contact_id=contact_id)
        left = as_it_stands(item.candidate, lead, lead_id)
        if left is not None:
            return left
        # Another lead may still come of it.
        may_be_twice = not self.unique and isinstance(result, Unsent)
        # Where it is the very lead that was to be updated, the key is not what stands in the way.
        is_target = item.kind.operation == "update" and lead_id == item.salesforce_id
        return None if may_be_twice or is_target else self._updated(item, lead, lead_id)

    def _updated(self, item: Item, lead: LeadRecord, lead_id: str) -> Settled | Item:
        record = item.candidate.record
        if same_record(self.lead, record, lead):
            return unchanged(item.candidate, Reason.SAME_VALUES, salesforce_id=lead_id)
        # Somebody else made it, with other values. By its id no look of Salesforce's own can miss it once more; and
        # without the key, which it has, an update that is refused after all says something of the row's other values.
        own_key = self.external.name if self.external is not None else ""
        values = {name: value for name, value in record.items() if name != own_key}
        return replace(
            item,
            candidate=replace(item.candidate, doubt=None),
            kind=self.update,
            record={"id": lead_id, **values},
            expected=Action.UPDATED,
            salesforce_id=lead_id,
        )

    def _met(self, item: Item, error: ApiError) -> str | None:
        """Id of the lead that holds the external ID already, where the error names it and nothing more is to be known.

        A lead that is to be updated is looked at in any case.
        """
        if self.external is None or self.existing == "update" or self._named(error) != {self.external.name}:
            return None
        return duplicate_id(error, key=str(item.candidate.record[self.external.name]))

    def _named(self, error: ApiError) -> frozenset[str]:
        """Return the unique fields that an error names."""
        return duplicate_fields(error, self._unique_names)


def as_it_stands(
    candidate: Candidate, lead: LeadRecord, lead_id: str | None, move: StageMove | None = None
) -> Settled | None:
    """Return the outcome of a row whose lead is left alone (:func:`core.stage.why_left_alone`).

    ``None`` where it is not.

    :param move: the stage that it is to be moved to, if it is to be moved.
    """
    stage = lead.get(move.field) if move is not None else None
    reason = why_left_alone(
        is_converted=bool(lead.get("IsConverted")), stage=stage, rule=move.rule if move is not None else None
    )
    if reason is None:
        return None
    contact_id = lead.get("ConvertedContactId")
    return unchanged(candidate, reason, salesforce_id=lead_id, contact_id=contact_id, old_stage=stage)


def left_alone(
    items: Sequence[Item],
    results: Sequence[Result],
    lookup: LeadLookup | None,
    *,
    meanings: Sequence[Meaning] = (Meaning.LEAD_CONVERTED,),
    move: StageMove | None = None,
) -> dict[int, Settled]:
    """Return the outcomes of refused records whose leads are to be left alone, by their places.

    :param lookup: reads the leads once more; where it cannot be asked now, another try tells.
    :param meanings: of errors that records may be refused with for that.
    :param move: the stage that they are to be moved to, if they are to be moved.
    :raises SalesforceLeadsError: where Salesforce cannot be asked.
    """
    pairs = zip(items, results, strict=True)
    refused = {
        n: item for n, (item, result) in enumerate(pairs) if item.salesforce_id and meaning_of(result) in meanings
    }
    if lookup is None:
        return {place: not_sent(item, Unsent(reason=Reason.TRY_AGAIN)) for place, item in refused.items()}
    fields = (*STATUS_FIELDS, *([move.field] if move is not None else ()))
    leads = lookup.by_id([str(item.salesforce_id) for item in refused.values()], fields) if refused else {}
    there = {
        place: (item, leads[str(item.salesforce_id)]) for place, item in refused.items() if item.salesforce_id in leads
    }
    found = {n: as_it_stands(item.candidate, lead, item.salesforce_id, move) for n, (item, lead) in there.items()}
    return {place: settled for place, settled in found.items() if settled is not None}


def meaning_of(result: Result) -> Meaning | None:
    """Return what Salesforce's error means for a record that it refused."""
    return result.meaning if isinstance(result, SaveResult) else None
