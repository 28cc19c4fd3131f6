"""Create the leads that Salesforce does not have yet; update those it has where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_provider_sfleads.core.collections import MAX_RECORDS, PageKind, Verdict
from airflow_provider_sfleads.core.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.core.ids import to_18
from airflow_provider_sfleads.core.keys import comparable, key_text
from airflow_provider_sfleads.core.mapping import BoundMapping
from airflow_provider_sfleads.core.outcome import Action, Reason
from airflow_provider_sfleads.core.replies import duplicate_fields, duplicate_id
from airflow_provider_sfleads.core.rows import BadRow, Row
from airflow_provider_sfleads.core.same import same_record
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.sync.lookup import LeadLookup, LeadRecord
from airflow_provider_sfleads.sync.pages import Result, Unsent
from airflow_provider_sfleads.sync.people import People
from airflow_provider_sfleads.sync.plan import Candidate, Intake, Item, Seen, Settled, refuse, unchanged
from airflow_provider_sfleads.sync.settling import not_sent, rejected, written

_GROUP = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRules:
    """What the operator asks for.

    :param mapping: the bound mapping.
    :param lead: the org's Lead.
    :param external: external-ID field that holds the key, or ``None`` for a plain insert.
    :param existing: ``skip`` or ``update``.
    :param auto_assign: assignment header for leads that are created.
    :param allow_duplicates: override alert-type duplicate rules.
    :param people: finds leads and contacts by e-mail, where asked for.
    :param user_id: the integration user.
    :param started: the run's start by Salesforce's clock.
    """

    mapping: BoundMapping
    lead: SObjectInfo
    external: FieldInfo | None
    existing: str
    auto_assign: str
    allow_duplicates: bool
    people: People | None
    user_id: str | None
    started: datetime


class CreatePlan:
    """The create operator's plan.

    With a unique external ID and ``existing="skip"`` nothing is looked up: the insert carries the external
    ID, and Salesforce's own uniqueness check says which leads exist. With ``existing="update"`` the leads
    are read first, so that a lead that exists is never run through the assignment rule again and one
    whose values are right is left alone; what is written is an upsert, the last writer wins.

    :param rules: what the operator asks for.
    :param intake: the decisions that need the export only.
    :param dry_run: look existing leads up, since no insert will tell.
    """

    operation = "create"

    def __init__(self, rules: CreateRules, intake: Intake, *, dry_run: bool) -> None:
        self._rules = rules
        self._intake = intake
        self._asks = rules.external is not None and (dry_run or rules.existing == "update")
        self.group_size = _GROUP if self._asks or rules.people else MAX_RECORDS
        self.repeatable = rules.external is not None
        insert = PageKind(
            operation="insert",
            auto_assign=rules.auto_assign,
            allow_duplicates=rules.allow_duplicates,
            repeatable=self.repeatable,
        )
        self._new = insert
        self._known = replace(insert, operation="update", auto_assign="FALSE", repeatable=True)
        if rules.external is not None and rules.existing == "update":
            upsert = replace(insert, operation="upsert", external_id_field=rules.external.name)
            self._new, self._known = upsert, replace(upsert, auto_assign="FALSE")

    def take(self, row: Row | BadRow) -> Candidate | Settled:
        """Decide what the export alone can decide."""
        return self._intake.take(row)

    def look_up(self, candidates: Sequence[Candidate], lookup: LeadLookup, _seen: Seen) -> Iterable[Item | Settled]:
        """Find the leads that exist, by external ID and, where asked for, by e-mail."""
        known = self._by_external_id(candidates, lookup) if self._asks else {}
        rest = [candidate for candidate in candidates if candidate.external_id not in known]
        people = self._rules.people.find(rest, lookup) if self._rules.people else {}
        for candidate in candidates:
            records = known.get(candidate.external_id or "", ())
            if records:
                yield self._existing(candidate, records)
            elif person := people.get(candidate.key):
                yield self._person(candidate, person)
            else:
                yield self._item(candidate)

    def _item(self, candidate: Candidate) -> Item | Settled:
        lacking = self._rules.mapping.lacking(candidate.record) if self._rules.existing == "update" else None
        if lacking is not None:
            return refuse(candidate.key, candidate.row, lacking)
        return Item(candidate=candidate, kind=self._new, record=candidate.record, expected=Action.CREATED)

    def _by_external_id(
        self, candidates: Sequence[Candidate], lookup: LeadLookup
    ) -> Mapping[str, Sequence[LeadRecord]]:
        external = self._rules.external
        if external is None:
            return {}
        values = [str(candidate.record[external.name]) for candidate in candidates]
        return lookup.by_field(external, values, self._fields())

    def _fields(self) -> tuple[str, ...]:
        rules = self._rules
        own = rules.mapping.field_names if rules.existing == "update" else ()
        return tuple(dict.fromkeys(("IsConverted", "ConvertedContactId", "CreatedDate", "CreatedById", *own)))

    def _existing(self, candidate: Candidate, records: Sequence[LeadRecord]) -> Item | Settled:
        if len(records) > 1:
            return refuse(candidate.key, candidate.row, _ambiguous(self._rules.external, records))
        lead = records[0]
        lead_id = to_18(lead["Id"])
        if lead.get("IsConverted"):
            return unchanged(
                candidate,
                Reason.CONVERTED,
                salesforce_id=lead_id,
                contact_id=lead.get("ConvertedContactId"),
            )
        if self._rules.existing == "skip":
            return unchanged(candidate, Reason.ALREADY_EXISTS, salesforce_id=lead_id)
        if same_record(self._rules.lead, candidate.record, lead):
            return unchanged(candidate, Reason.SAME_VALUES, salesforce_id=lead_id)
        return Item(
            candidate=candidate,
            kind=self._known,
            record=candidate.record,
            expected=Action.UPDATED,
            salesforce_id=lead_id,
        )

    def _person(self, candidate: Candidate, records: Sequence[LeadRecord]) -> Item | Settled:
        """A lead or contact with the row's e-mail counts as existing."""
        leads = [record for record in records if "IsConverted" in record]
        open_leads = [record for record in leads if not record["IsConverted"]]
        contact_id = next((record["Id"] for record in records if "IsConverted" not in record), None)
        if contact_id or not open_leads or self._rules.existing == "skip":
            only = to_18(leads[0]["Id"]) if len(leads) == 1 else None
            return unchanged(candidate, Reason.ALREADY_EXISTS, salesforce_id=only, contact_id=contact_id)
        if len(open_leads) > 1:
            return refuse(candidate.key, candidate.row, _several(open_leads))
        kind = replace(self._known, operation="update", external_id_field=None)
        lead_id = to_18(open_leads[0]["Id"])
        record = {**candidate.record, "id": lead_id}
        return Item(
            candidate=candidate,
            kind=kind,
            record=record,
            expected=Action.UPDATED,
            salesforce_id=lead_id,
        )

    def settle(self, items: Sequence[Item], results: Sequence[Result], lookup: LeadLookup) -> list[Settled]:
        """Turn a page's results into outcomes.

        An insert that meets its own external ID did not fail: the lead exists already, or was created by
        an earlier sending of the same page whose answer was lost.
        """
        present = self._present(items, results, lookup)
        return [
            self._settled(item, result, present.get(item.candidate.external_id or ""))
            for item, result in zip(items, results, strict=True)
        ]

    def _present(
        self, items: Sequence[Item], results: Sequence[Result], lookup: LeadLookup
    ) -> Mapping[str, Sequence[LeadRecord]]:
        """Read the leads that a failed insert may have met, where the error alone does not name them."""
        if self._rules.external is None:
            return {}
        unclear = [
            item.candidate
            for item, result in zip(items, results, strict=True)
            if isinstance(result, Verdict) and item.expected is Action.CREATED and self._is_unclear(result)
        ]
        return self._by_external_id(unclear, lookup) if unclear else {}

    def _is_unclear(self, verdict: Verdict) -> bool:
        # Duplicate rules run before the uniqueness check: a lead that exists may meet either first.
        code = verdict.error.code if verdict.error else ""
        if code == "DUPLICATES_DETECTED":
            return True
        return code == "DUPLICATE_VALUE" and (verdict.repeated or self._met(verdict) is None)

    def _met(self, verdict: Verdict) -> str | None:
        """Id of the lead that holds the external ID already, where the error names it."""
        external, error = self._rules.external, verdict.error
        if external is None or error is None or external.name not in duplicate_fields(error):
            return None
        return duplicate_id(error)

    def _settled(self, item: Item, result: Result, present: Sequence[LeadRecord] | None) -> Settled:
        if isinstance(result, Unsent):
            return not_sent(item, result)
        if result.error is None:
            return written(item, result)
        if present and len(present) == 1:
            lead_id = to_18(present[0]["Id"])
            if result.repeated and self._is_ours(present[0]):
                return written(item, replace(result, error=None, id=lead_id, created=True))
            return self._existing_after(item, lead_id, present[0])
        met = self._met(result)
        return rejected(item, result.error) if met is None else self._existing_after(item, met, None)

    def _existing_after(self, item: Item, lead_id: str | None, lead: LeadRecord | None) -> Settled:
        contact = lead.get("ConvertedContactId") if lead else None
        reason = Reason.CONVERTED if lead and lead.get("IsConverted") else Reason.ALREADY_EXISTS
        return unchanged(item.candidate, reason, salesforce_id=lead_id, contact_id=contact)

    def _is_ours(self, lead: LeadRecord) -> bool:
        """Whether this integration user created the lead since the run began."""
        created = datetime.fromisoformat(str(lead["CreatedDate"]))
        by = to_18(str(lead["CreatedById"]))
        return created >= self._rules.started and by == to_18(self._rules.user_id or "")


def candidate_builder(
    mapping: BoundMapping, external: FieldInfo | None, *, need_required: bool
) -> Callable[[str, Row], Candidate | Refusal]:
    """How the create operator turns a row into a candidate.

    :param need_required: refuse rows without the required fields at once; with ``existing="update"`` a row
        may lack them, since a lead that exists has them already.
    """

    def build(key: str, row: Row) -> Candidate | Refusal:
        record = mapping.record(row, need_required=need_required)
        if isinstance(record, Refusal) or external is None:
            return record if isinstance(record, Refusal) else Candidate(key=key, row=row, record=record)
        value = convert(external, key)
        if isinstance(value, Refusal):
            return value
        compared = comparable(key_text(value), case_sensitive=external.case_sensitive)
        return Candidate(key=key, row=row, record={external.name: value, **record}, external_id=compared)

    return build


def _ambiguous(external: FieldInfo | None, records: Sequence[LeadRecord]) -> Refusal:
    name = external.name if external else "Id"
    ids = ", ".join(str(record["Id"]) for record in records)
    return Refusal(
        code="DUPLICATE_EXTERNAL_ID",
        message=f"{name}: more than one record found for external id field: [{ids}]",
        fields=(name,),
    )


def _several(records: Sequence[LeadRecord]) -> Refusal:
    ids = ", ".join(str(record["Id"]) for record in records)
    return Refusal(
        code="DUPLICATES_DETECTED",
        message=f"Email: more than one open lead has this e-mail address: [{ids}]",
        fields=("Email",),
    )
