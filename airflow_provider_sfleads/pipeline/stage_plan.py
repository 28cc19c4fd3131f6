"""Move leads to a stage, never back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_provider_sfleads.core.keys import compared_by, key_text
from airflow_provider_sfleads.core.mapping import BoundMapping
from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Reason, Row
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.core.text import is_null
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.pipeline.email_match import EmailMatch
from airflow_provider_sfleads.pipeline.existing_leads import StageMove, as_it_stands, left_alone
from airflow_provider_sfleads.pipeline.lookup import STATUS_FIELDS, LeadLookup, LeadRecord
from airflow_provider_sfleads.pipeline.plan import (
    Candidate,
    Intake,
    Item,
    Overtaken,
    Result,
    Seen,
    Settled,
    Unsent,
    not_sent,
    refuse,
    rejected,
    written,
)
from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from airflow_provider_sfleads.salesforce.collections import MAX_RETRIEVE_IDS, PageKind
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo
from airflow_provider_sfleads.salesforce.error_codes import Meaning
from airflow_provider_sfleads.salesforce.ids import full_id, lead_id


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRules:
    """What the operator asks for.

    :param settings: the parameters.
    :param lead: the org's Lead.
    :param rule: the stage, its filters and its ladder.
    :param stage_field: Lead field that holds the stage.
    :param lead_id: export column with the Lead id.
    :param external: external-ID field that holds the key.
    :param people: finds leads by e-mail, where asked for.
    """

    settings: PlanSettings
    lead: SObjectInfo
    rule: StageRule
    stage_field: FieldInfo
    lead_id: str | None
    external: FieldInfo | None
    people: EmailMatch | None


class StagePlan:
    """The stage operator's plan: the current stage is read first, and the write goes by the id read.

    :param rules: what the operator asks for.
    :param intake: the decisions that need the export only.
    """

    operation = "update_stage"
    group_size = MAX_RETRIEVE_IDS
    repeatable = True
    # The stage that the ladder is held against must be the one read right before the write.
    fresh = True
    mode = "stage"

    def __init__(self, rules: StageRules, intake: Intake) -> None:
        self._rules = rules
        self._intake = intake
        self.may_undo = rules.settings.may_undo
        self._kind = PageKind(
            operation="update",
            auto_assign=rules.settings.auto_assign,
            allow_duplicates=rules.settings.allow_duplicates,
            once=True,
        )
        self.compare, self.key_of, self.recipe = intake.compare, intake.key_of, intake.recipe
        self._fields = (*STATUS_FIELDS, rules.stage_field.name)
        self._move = StageMove(rules.rule, rules.stage_field.name)

    @property
    def rules(self) -> StageRules:
        """What the operator asks for."""
        return self._rules

    @property
    def ways(self) -> tuple[tuple[PageKind, Action], ...]:
        """What rows are sent as."""
        return ((self._kind, Action.UPDATED),)

    def take(self, row: Row | BadRow) -> Candidate | Settled:
        """Decide what the export alone can decide."""
        return self._intake.take(row)

    def look_up(self, candidates: Sequence[Candidate], lookup: LeadLookup, seen: Seen) -> Iterable[Item | Settled]:
        """Read where each lead stands, and leave alone those that are not to be moved."""
        ids = [candidate.lead_id for candidate in candidates if candidate.lead_id]
        by_id = lookup.by_id(ids, self._fields) if ids else {}
        gone = [lead_id for lead_id in ids if lead_id not in by_id]
        deleted = lookup.deleted(gone) if gone else frozenset()
        by_key = self._by_key(candidates, lookup)
        lost = [c for c in candidates if not c.lead_id and c.external_id not in by_key]
        people = self._by_email(lost, lookup)
        for candidate in candidates:
            if candidate.lead_id:
                found = [by_id[candidate.lead_id]] if candidate.lead_id in by_id else []
            else:
                found = list(by_key.get(candidate.external_id or "", ())) or people.get(candidate.key, [])
            if len(found) == 1:
                yield self._found(candidate, found[0], seen)
            else:
                by_email = found is people.get(candidate.key)
                yield refuse(
                    candidate.key,
                    candidate.row,
                    self._not_one(candidate, found, deleted, by_email=by_email),
                    salesforce_id=candidate.lead_id,
                )

    def _by_email(self, candidates: Sequence[Candidate], lookup: LeadLookup) -> Mapping[str, list[LeadRecord]]:
        """Leads by e-mail, less those that belong to another key."""
        people = self._rules.people
        if people is None or not candidates:
            return {}
        found = people.find(candidates, lookup)
        return {
            candidate.key: [lead for lead in found.get(candidate.key, ()) if not people.is_another(candidate, lead)]
            for candidate in candidates
        }

    def _by_key(self, candidates: Sequence[Candidate], lookup: LeadLookup) -> Mapping[str, Sequence[LeadRecord]]:
        external = self._rules.external
        wanted = [candidate.key for candidate in candidates if not candidate.lead_id]
        return lookup.by_field(external, wanted, self._fields) if external and wanted else {}

    def _found(self, candidate: Candidate, lead: LeadRecord, seen: Seen) -> Item | Settled:
        lead_id = full_id(lead["Id"])
        if not candidate.lead_id and not seen(lead_id, "id"):
            outcome = Outcome(key=candidate.key, action=Action.DUPLICATE_KEY, salesforce_id=lead_id)
            return Settled(outcome=outcome, row=candidate.row)
        stage = lead.get(self._rules.stage_field.name)
        left = as_it_stands(candidate, lead, lead_id, self._move)
        if left is not None:
            return left
        return Item(
            candidate=candidate,
            kind=self._kind,
            record={"id": lead_id, **candidate.record},
            expected=Action.UPDATED,
            salesforce_id=lead_id,
            old_stage=stage,
            new_stage=self._rules.rule.stage,
        )

    def _not_one(
        self, candidate: Candidate, found: Sequence[LeadRecord], deleted: frozenset[str], *, by_email: bool
    ) -> Refusal:
        """Return why none, or no single, lead was found."""
        external = "Email" if by_email or self._rules.external is None else self._rules.external.name
        if found:
            ids = ", ".join(str(lead["Id"]) for lead in found)
            message = f"{external}: more than one record found for external id field: [{ids}]"
            return Refusal(code="DUPLICATE_EXTERNAL_ID", message=message, fields=(external,))
        if candidate.lead_id is None:
            message = f"no lead has this {external}; an update never creates one"
            return Refusal(code="NOT_FOUND", message=message, fields=(external,))
        if candidate.lead_id in deleted:
            return Refusal(code="ENTITY_IS_DELETED", message="entity is deleted", fields=("Id",))
        message = "invalid cross reference id: no lead has this id, or the Run-As user may not see it"
        return Refusal(code="INVALID_CROSS_REFERENCE_KEY", message=message, fields=("Id",))

    def next_pass(self) -> None:
        """Do nothing: no row is ever put off."""

    def recheck(self, items: Sequence[Item], lookup: LeadLookup) -> Mapping[int, Overtaken]:
        """Read the leads once more: a lock means that somebody is just writing them.

        A lead that now stands at the stage may stand there by this very run, and writing it again changes nothing.
        """
        leads = lookup.by_id([item.salesforce_id for item in items if item.salesforce_id], self._fields)
        overtaken: dict[int, Overtaken] = {}
        for position, item in enumerate(items):
            lead = leads.get(item.salesforce_id or "")
            left = as_it_stands(item.candidate, lead, item.salesforce_id, self._move) if lead else None
            if left is not None and left.outcome.reason is not Reason.ALREADY_AT_STAGE:
                overtaken[position] = Overtaken(outcome=left.outcome)
        return overtaken

    def settle(self, items: Sequence[Item], results: Sequence[Result], lookup: LeadLookup | None) -> list[Settled]:
        """Turn a page's results into outcomes; a lead converted, or moved on, since it was read is left alone."""
        # An org may have a validation rule that keeps a lead from a step back.
        meanings = (Meaning.LEAD_CONVERTED, Meaning.RULE_BROKEN)
        left = left_alone(items, results, lookup, meanings=meanings, move=self._move)
        pairs = enumerate(zip(items, results, strict=True))
        return [left.get(place) or self._settled(item, result) for place, (item, result) in pairs]

    def _settled(self, item: Item, result: Result) -> Settled:
        if isinstance(result, Unsent):
            return not_sent(item, result)
        if isinstance(result, Overtaken):
            return Settled(outcome=result.outcome, row=item.candidate.row)
        if result.error is None:
            # An update says nothing of "created", and the stage operator never creates.
            return written(item, replace(result, created=None))
        return rejected(item, result)


def lead_id_reader(column: str | None) -> Callable[[Row], str | None]:
    """Read a row's Lead id in its 18-character form; ``None`` where it has none or a malformed one."""

    def read(row: Row) -> str | None:
        return lead_id(key_text(row[column])) if column is not None else None

    return read


def candidate_builder(mapping: BoundMapping, rules: StageRules) -> Callable[[str, Row], Candidate | Refusal]:
    """Return how the stage operator turns a row into a candidate."""
    read_id = lead_id_reader(rules.lead_id)
    compare = compared_by(rules.external)

    def build(key: str, row: Row) -> Candidate | Refusal:
        record = mapping.record(row)
        if isinstance(record, Refusal):
            return record
        lead_id = read_id(row)
        has_id = rules.lead_id is not None and not is_null(row[rules.lead_id])
        if has_id and lead_id is None:
            message = f"column {rules.lead_id!r}: id value of incorrect type: not the id of a lead"
            return Refusal(code="MALFORMED_ID", message=message, fields=("Id",))
        if lead_id is None and rules.external is None and rules.people is None:
            message = f"column {rules.lead_id!r}: the Lead id is empty, and no external_id_field is given"
            return Refusal(code="MISSING_ARGUMENT", message=message, fields=("Id",))
        unfit = convert(rules.external, key) if rules.external is not None and lead_id is None else None
        if isinstance(unfit, Refusal):
            return unfit
        external_id = compare(key) if rules.external is not None else None
        moved = {rules.stage_field.name: rules.rule.stage, **record}
        return Candidate(key=key, row=row, record=moved, lead_id=lead_id, external_id=external_id)

    return build
