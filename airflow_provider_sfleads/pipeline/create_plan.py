"""Create the leads that Salesforce does not have yet; update those it has where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.core.mapping import BoundMapping
from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Reason, Row
from airflow_provider_sfleads.core.same import same_record
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.pipeline.email_match import EmailMatch
from airflow_provider_sfleads.pipeline.existing_leads import ExistingLeads, as_it_stands, left_alone
from airflow_provider_sfleads.pipeline.lead_search import Claim
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.plan import (
    UNKNOWN,
    Candidate,
    Deferred,
    Intake,
    Item,
    Overtaken,
    Result,
    Seen,
    Settled,
    Unsent,
    not_sent,
    refuse,
    unchanged,
)
from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from airflow_provider_sfleads.salesforce.collections import MAX_RECORDS, MAX_RETRIEVE_IDS, PageKind, SaveResult
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.ids import full_id, to_18

# Who made a lead, and when.
_MADE = ("CreatedDate", "CreatedById")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRules:
    """What the operator asks for.

    :param settings: the parameters.
    :param mapping: the bound mapping.
    :param lead: the org's Lead.
    :param external: external-ID field that holds the key, or ``None`` for a plain insert.
    :param existing: ``skip`` or ``update``.
    :param people: finds leads and contacts by e-mail, where asked for.
    :param late: how long after it was sent a call may still take effect.
    :param claim: takes leads for rows of this run.
    """

    settings: PlanSettings
    mapping: BoundMapping
    lead: SObjectInfo
    external: FieldInfo | None
    existing: str
    people: EmailMatch | None
    late: timedelta
    claim: Claim


class CreatePlan:
    """The create operator's plan.

    With a unique external ID and ``existing="skip"`` nothing is looked up: the insert carries the external
    ID, and Salesforce's own uniqueness check says which leads exist. With ``existing="update"`` the leads
    are read first, so that a lead that exists is never run through the assignment rule again and one
    whose values are right is left alone; what is written is an upsert, the last writer wins.

    :param rules: what the operator asks for.
    :param intake: the decisions that need the export only.
    """

    operation = "create"
    fresh = False

    def __init__(self, rules: CreateRules, intake: Intake) -> None:
        self._rules = rules
        self._intake = intake
        self.compare, self.key_of, self.recipe = intake.compare, intake.key_of, intake.recipe
        self.mode = rules.existing
        self.may_undo = rules.settings.may_undo
        self._dry_run = rules.settings.dry_run
        self._pass = 0
        # No insert of a dry run will tell which leads exist.
        self._asks = rules.external is not None and (self._dry_run or rules.existing == "update")
        self.group_size = MAX_RETRIEVE_IDS if self._asks or rules.people else MAX_RECORDS
        # Without uniqueness a repeat that overtakes its first sending would create the lead a second time.
        self.repeatable = rules.external is not None and rules.external.unique
        insert = PageKind(
            operation="insert",
            auto_assign=rules.settings.auto_assign,
            allow_duplicates=rules.settings.allow_duplicates,
            repeatable=self.repeatable,
        )
        self._new = insert
        self._by_id = replace(insert, operation="update", auto_assign="FALSE", repeatable=True)
        self._known = self._by_id
        if rules.external is not None and rules.existing == "update":
            # Before it is sent again its lead is looked for: of an upsert that finds one nobody could say who made it.
            self._new = replace(insert, operation="upsert", external_id_field=rules.external.name, once=self.repeatable)
            self._known = replace(self._new, auto_assign="FALSE", repeatable=True)
        self._existing_leads = ExistingLeads(
            lead=rules.lead,
            external=rules.external,
            existing=rules.existing,
            update=self._by_id,
            unique=self.repeatable,
            late=rules.late,
            claim=rules.claim,
        )

    @property
    def rules(self) -> CreateRules:
        """What the operator asks for."""
        return self._rules

    @property
    def asks(self) -> bool:
        """Whether existing leads are looked up by external ID."""
        return self._asks

    @property
    def ways(self) -> tuple[tuple[PageKind, Action], ...]:
        """What rows are sent as: new leads first, then known ones, then those known by their e-mail address only."""
        known = dict.fromkeys((self._known, self._by_id))
        return ((self._new, Action.CREATED), *((kind, Action.UPDATED) for kind in known))

    def take(self, row: Row | BadRow) -> Candidate | Settled:
        """Decide what the export alone can decide."""
        return self._intake.take(row)

    def look_up(
        self, candidates: Sequence[Candidate], lookup: LeadLookup, seen: Seen
    ) -> Iterable[Item | Settled | Deferred]:
        """Find the leads that exist, by external ID and, where asked for, by e-mail."""
        known = self._by_external_id(candidates, lookup) if self._asks else {}
        own = self._own(candidates, known)
        rest = [candidate for candidate in candidates if candidate.external_id not in known]
        people, made = self._by_email(rest, lookup)
        for candidate in candidates:
            records = known.get(candidate.external_id or "", ())
            if records:
                yield self._existing(candidate, records, seen, own)
            elif person := people.get(candidate.key):
                yield self._made(candidate, person, made, seen) or self._person(candidate, person, seen)
            else:
                yield self._new_lead(candidate, seen)

    def next_pass(self) -> None:
        """Begin another pass over rows that share their e-mail with an earlier one, now that this one is done."""
        self._pass += 1

    def recheck(self, items: Sequence[Item], lookup: LeadLookup) -> Mapping[int, Overtaken | Unsent]:
        """Look for the leads of upserts that got no answer: one that is there is not upserted as a new one.

        Nothing else stands in the way of sending again: the last writer wins, and a lead that exists is met.
        """
        unclear = {n: item for n, item in enumerate(items) if item.kind.once and item.candidate.doubt is not None}
        candidates = [item.candidate for item in unclear.values()]
        present = self._by_external_id(candidates, lookup, compares=True)
        own = self._own(candidates, present)
        found: dict[int, Overtaken | Unsent] = {}
        for place, item in unclear.items():
            leads = present.get(item.candidate.external_id or "", ())
            known = self._existing_leads.present(item, UNKNOWN, leads[0], own) if len(leads) == 1 else None
            if known is not None:
                found[place] = Overtaken(outcome=known.outcome) if isinstance(known, Settled) else UNKNOWN
        return found

    def _own(self, candidates: Iterable[Candidate], present: Mapping[str, Sequence[LeadRecord]]) -> frozenset[str]:
        """Leads that rows' own earlier requests made."""
        met = ((each, present.get(each.external_id or "", ())) for each in candidates if each.doubt is not None)
        return self._existing_leads.own((each, leads[0]) for each, leads in met if len(leads) == 1)

    def _by_email(
        self, candidates: Sequence[Candidate], lookup: LeadLookup
    ) -> tuple[Mapping[str, Sequence[LeadRecord]], frozenset[str]]:
        """People by e-mail, and which of the leads among them rows' own earlier requests made."""
        if self._rules.people is None:
            return {}, frozenset()
        doubtful = [candidate for candidate in candidates if candidate.doubt is not None]
        more = dict.fromkeys(name for candidate in doubtful for name in (*_MADE, *candidate.record))
        people = self._rules.people.find(candidates, lookup, more=tuple(more))
        leads = ((each, lead) for each in doubtful for lead in people.get(each.key, ()) if "IsConverted" in lead)
        return people, self._existing_leads.own(leads)

    def _made(
        self, candidate: Candidate, records: Sequence[LeadRecord], made: Collection[str], seen: Seen
    ) -> Settled | None:
        """Return the outcome of a row whose own earlier request made one of the leads with its e-mail."""
        for lead in records:
            lead_id = full_id(lead["Id"])
            if candidate.doubt is not None and lead_id in made and seen(lead_id, "made"):
                outcome = Outcome(key=candidate.key, action=Action.CREATED, salesforce_id=lead_id)
                return Settled(outcome=outcome, row=candidate.row)
        return None

    def _new_lead(self, candidate: Candidate, seen: Seen) -> Item | Settled | Deferred:
        lacking = self._rules.mapping.lacking(candidate.record) if self._rules.existing == "update" else None
        if lacking is not None:
            return refuse(candidate.key, candidate.row, lacking)
        email = self._rules.people.email_of(candidate) if self._rules.people else ""
        if email and not seen(email, f"email {self._pass}"):
            # A dry run creates no lead for the second row to meet, and says what a live run would.
            return unchanged(candidate, Reason.ALREADY_EXISTS) if self._dry_run else Deferred(candidate=candidate)
        return Item(candidate=candidate, kind=self._new, record=candidate.record, expected=Action.CREATED)

    def _by_external_id(
        self, candidates: Sequence[Candidate], lookup: LeadLookup, *, compares: bool = False
    ) -> Mapping[str, Sequence[LeadRecord]]:
        """Leads by key.

        :param compares: whether the values are asked for in any case.
        """
        external = self._rules.external
        if external is None or not candidates:
            return {}
        values = [str(candidate.record[external.name]) for candidate in candidates]
        own = self._rules.mapping.field_names if compares or self._rules.existing == "update" else ()
        return lookup.by_field(external, values, (*STATUS_FIELDS, *_MADE, *own))

    def _existing(
        self, candidate: Candidate, records: Sequence[LeadRecord], seen: Seen, own: Collection[str]
    ) -> Item | Settled:
        external = self._rules.external
        if len(records) > 1:
            name, what = str(external and external.name), "more than one record found for external id field"
            several = _several("DUPLICATE_EXTERNAL_ID", name, what, records)
            return refuse(candidate.key, candidate.row, several)
        lead = records[0]
        lead_id = full_id(lead["Id"])
        if lead_id in own:
            return Settled(
                outcome=Outcome(key=candidate.key, action=Action.CREATED, salesforce_id=lead_id), row=candidate.row
            )
        return self._found(candidate, lead, self._known, seen)

    def _found(self, candidate: Candidate, lead: LeadRecord, kind: PageKind, seen: Seen) -> Item | Settled:
        lead_id = full_id(lead["Id"])
        if self._rules.existing == "skip":
            contact_id = lead.get("ConvertedContactId")
            # Not "converted", even where it is: a live insert is told that the lead exists, and no more.
            return unchanged(candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id, contact_id=contact_id)
        left = as_it_stands(candidate, lead, lead_id)
        if left is not None:
            return left
        if not seen(lead_id, "id"):
            outcome = Outcome(key=candidate.key, action=Action.DUPLICATE_KEY, salesforce_id=lead_id)
            return Settled(outcome=outcome, row=candidate.row)
        if same_record(self._rules.lead, candidate.record, lead):
            return unchanged(candidate, Reason.SAME_VALUES, salesforce_id=lead_id)
        return Item(
            candidate=candidate,
            kind=kind,
            record=candidate.record if kind.operation == "upsert" else {"id": lead_id, **candidate.record},
            expected=Action.UPDATED,
            salesforce_id=lead_id,
        )

    def _person(self, candidate: Candidate, records: Sequence[LeadRecord], seen: Seen) -> Item | Settled:
        """Return a lead or contact with the row's e-mail counts as existing."""
        leads = [record for record in records if "IsConverted" in record]
        contact_id = next((record["Id"] for record in records if "IsConverted" not in record), None)
        people = self._rules.people
        if len(leads) == 1 and not contact_id and people and not people.is_another(candidate, leads[0]):
            return self._found(candidate, leads[0], self._by_id, seen)
        if len(leads) == 1:
            contact_id = contact_id or leads[0].get("ConvertedContactId")
            return unchanged(
                candidate, Reason.ALREADY_EXISTS, salesforce_id=to_18(leads[0]["Id"]), contact_id=contact_id
            )
        if leads and not contact_id and self._rules.existing == "update":
            what = "more than one open lead has this e-mail address"
            return refuse(candidate.key, candidate.row, _several("DUPLICATES_DETECTED", "Email", what, leads))
        return unchanged(candidate, Reason.ALREADY_EXISTS, contact_id=contact_id)

    def settle(
        self, items: Sequence[Item], results: Sequence[Result], lookup: LeadLookup | None
    ) -> list[Settled | Item]:
        """Turn a page's results into outcomes.

        An insert that meets its own external ID did not fail: the lead exists already, or was created by
        an earlier sending of the same page whose answer was lost. An upsert that meets it has lost a race, and is sent
        again as the lead's update. A lead converted since it was read is left alone.
        """
        met = self._existing_leads
        unclear = [met.is_unclear(item, result) for item, result in zip(items, results, strict=True)]
        asked = [item for item, ask in zip(items, unclear, strict=True) if ask]
        present = self._by_external_id([item.candidate for item in asked], lookup, compares=True) if lookup else {}
        own = self._own((item.candidate for item in asked if item.expected is Action.CREATED), present)
        converted = left_alone(items, results, lookup)
        settled: list[Settled | Item] = []
        for place, (item, result, ask) in enumerate(zip(items, results, unclear, strict=True)):
            if place in converted:
                settled.append(converted[place])
            elif ask and lookup is None and isinstance(result, SaveResult) and result.error is not None:
                settled.append(not_sent(item, Unsent(reason=Reason.TRY_AGAIN)))
            else:
                found = present.get(item.candidate.external_id or "", ()) if ask else ()
                settled.append(met.settled(item, result, found, own))
        return settled


def candidate_builder(
    mapping: BoundMapping, external: FieldInfo | None, *, need_required: bool
) -> Callable[[str, Row], Candidate | Refusal]:
    """Return how the create operator turns a row into a candidate.

    :param need_required: refuse rows without the required fields at once; with ``existing="update"`` a row
        may lack them, since a lead that exists has them already.
    """
    compare = compared_by(external)

    def build(key: str, row: Row) -> Candidate | Refusal:
        record = mapping.record(row, need_required=need_required)
        if isinstance(record, Refusal) or external is None:
            return record if isinstance(record, Refusal) else Candidate(key=key, row=row, record=record)
        value = convert(external, key)
        if isinstance(value, Refusal):
            return value
        return Candidate(key=key, row=row, record={external.name: value, **record}, external_id=compare(key))

    return build


def _several(code: str, name: str, what: str, records: Sequence[LeadRecord]) -> Refusal:
    ids = ", ".join(str(record["Id"]) for record in records)
    return Refusal(code=code, message=f"{name}: {what}: [{ids}]", fields=(name,))
