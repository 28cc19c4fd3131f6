"""From the parameters to a plan that fits the org and the export, or one error with every problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from airflow_provider_sfleads.core.keys import compared_by
from airflow_provider_sfleads.core.mapping import (
    BoundMapping,
    FieldMap,
    Purpose,
    bind,
    check_external_id,
    missing_columns,
    overruled_owner,
)
from airflow_provider_sfleads.core.stage import StageRule, ladder_problem
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.exceptions import MappingError
from airflow_provider_sfleads.pipeline import create_plan, stage_plan
from airflow_provider_sfleads.pipeline.email_match import EmailMatch
from airflow_provider_sfleads.pipeline.lead_search import Claim
from airflow_provider_sfleads.pipeline.plan import Intake, Recipe
from airflow_provider_sfleads.pipeline.plan_settings import CreateLeads, PlanSettings, UpdateStage
from airflow_provider_sfleads.salesforce.describe import FieldInfo, SObjectInfo

_STAGE_TYPES = frozenset({"picklist", "string", "textarea", "combobox"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """What a plan stands on.

    :param lead: Lead's describe.
    :param columns: the export's columns; none before it is opened.
    :param late: how long after it was sent a call may still take effect.
    :param claim: takes leads for rows of this run.
    """

    lead: SObjectInfo
    columns: Sequence[str]
    late: timedelta
    claim: Claim


@dataclass(slots=True)
class _Problems:
    """Collects sentences, so that one error can list them all."""

    sentences: list[str] = field(default_factory=list)

    def external_id(self, lead: SObjectInfo, name: str | None, purpose: Purpose, *, unique: bool) -> FieldInfo | None:
        found = check_external_id(lead, name, purpose, unique=unique) if name else None
        if isinstance(found, str):
            self.sentences.append(found)
            return None
        return found

    def columns(self, wanted: Mapping[str, str], columns: Sequence[str]) -> None:
        self.sentences += missing_columns(wanted, columns)

    def mapping(
        self, field_map: FieldMap, lead: SObjectInfo, purpose: Purpose, reserved: Sequence[str]
    ) -> BoundMapping | None:
        bound = bind(field_map, lead, purpose, reserved=reserved)
        if isinstance(bound, BoundMapping):
            return bound
        self.sentences += bound
        return None

    def owner(self, settings: PlanSettings) -> None:
        self.sentences += overruled_owner(settings.field_map, settings.auto_assign)

    def ladder(self, info: FieldInfo, rule: StageRule) -> None:
        problem = ladder_problem(rule.stage, rule.ladder, info.compared)
        self.sentences += [problem] if problem else []
        for rung in rule.ladder or ():
            value = convert(info, rung)
            if isinstance(value, Refusal):
                self.sentences.append(f"ladder {rung!r} -> {info.name}: {value.message}")

    def email_column(self, settings: PlanSettings, lead: SObjectInfo) -> str | None:
        if not settings.match_email:
            return None
        info = lead.find("Email")
        if info is not None and not info.filterable:
            self.sentences.append(
                "match_email: Salesforce finds no leads by Email, as it is encrypted (Shield Platform Encryption)"
            )
        for column, name in settings.field_map.columns.items():
            if name.lower() == "email":
                return column
        self.sentences.append("match_email: no column is mapped to Email in fields")
        return None


def prepare(settings: PlanSettings, inputs: PlanInputs) -> create_plan.CreatePlan | stage_plan.StagePlan:
    """Make the plan of a change.

    :raises MappingError: with every problem, before anything is sent.
    """
    change = settings.change
    if isinstance(change, CreateLeads):
        return _prepare_create(settings, change, inputs)
    return _prepare_stage(settings, change, inputs)


def _prepare_create(settings: PlanSettings, change: CreateLeads, inputs: PlanInputs) -> create_plan.CreatePlan:
    """Make the create operator's plan; see :func:`prepare`."""
    problems = _Problems()
    purpose = Purpose(creates=True, updates=change.updates)
    external = problems.external_id(inputs.lead, settings.external_id_field, purpose, unique=not change.updates)
    reserved = (external.name,) if external else ()
    mapping = problems.mapping(_own_fields(settings), inputs.lead, purpose, reserved)
    problems.owner(settings)
    email = problems.email_column(settings, inputs.lead)
    problems.columns(_common_columns(settings), inputs.columns)
    if problems.sentences or mapping is None:
        raise MappingError(tuple(problems.sentences))
    rules = create_plan.CreateRules(
        settings=settings,
        mapping=mapping,
        lead=inputs.lead,
        external=external,
        existing=change.existing,
        people=_people(email, mapping.field_names if change.updates else (), external, contacts=True),
        late=inputs.late,
        claim=inputs.claim,
    )
    need_required = not (change.updates and external)
    recipe = Recipe(
        key_column=settings.key,
        mapping=mapping,
        fields=_record_fields(external, mapping, inputs.lead),
        external=external,
        writes_key=external is not None,
        need_required=need_required,
        by_email=rules.people is not None,
    )
    intake = Intake(
        recipe=recipe,
        compare=compared_by(external),
        rule=lambda _row: None,
        build=create_plan.candidate_builder(mapping, external, need_required=need_required),
    )
    return create_plan.CreatePlan(rules, intake)


def _prepare_stage(settings: PlanSettings, change: UpdateStage, inputs: PlanInputs) -> stage_plan.StagePlan:
    """Make the stage operator's plan; see :func:`prepare`."""
    problems = _Problems()
    purpose = Purpose(creates=False, updates=True)
    external = problems.external_id(inputs.lead, settings.external_id_field, purpose, unique=False)
    stage_field = _stage_field(change, inputs.lead, problems)
    mapping = problems.mapping(_own_fields(settings), inputs.lead, purpose, (change.stage_field,))
    problems.owner(settings)
    email = problems.email_column(settings, inputs.lead)
    problems.columns(_common_columns(settings) | _stage_columns(change), inputs.columns)
    if problems.sentences or mapping is None or stage_field is None:
        raise MappingError(tuple(problems.sentences))
    rule = change.rule.of_field(stage_field)
    rules = stage_plan.StageRules(
        settings=settings,
        lead=inputs.lead,
        rule=rule,
        stage_field=stage_field,
        lead_id=change.lead_id,
        external=external,
        people=_people(email, (stage_field.name,), external, contacts=False),
    )
    recipe = Recipe(
        key_column=settings.key,
        mapping=mapping,
        fields=_record_fields(stage_field, mapping, inputs.lead),
        external=external,
        rule=rule,
        stage_field=stage_field,
        lead_id=change.lead_id,
        by_email=rules.people is not None,
    )
    intake = Intake(
        recipe=recipe,
        compare=compared_by(external),
        rule=rule.filter,
        build=stage_plan.candidate_builder(mapping, rules),
    )
    return stage_plan.StagePlan(rules, intake)


def _record_fields(own: FieldInfo | None, mapping: BoundMapping, lead: SObjectInfo) -> tuple[FieldInfo, ...]:
    """Return the fields of a candidate's record: the one that the sync writes itself, mapped columns, constants."""
    constants = [info for name in mapping.constants if (info := lead.find(name)) is not None]
    return (*([own] if own else []), *(info for _, info in mapping.columns), *constants)


def _own_fields(settings: PlanSettings) -> FieldMap:
    """Return the mapping less the key's own field: to name it there too is right, and says nothing new."""
    name = (settings.external_id_field or "").lower()
    columns = {
        column: target
        for column, target in settings.field_map.columns.items()
        if not (column == settings.key and target.lower() == name)
    }
    return replace(settings.field_map, columns=columns)


def _people(
    email: str | None, fields: Sequence[str], external: FieldInfo | None, *, contacts: bool
) -> EmailMatch | None:
    if email is None:
        return None
    # Whose lead it is has to be known: one of another key is not taken from it.
    own = (external.name,) if external else ()
    return EmailMatch(column=email, fields=(*fields, *own), contacts=contacts, external=external)


def _stage_field(change: UpdateStage, lead: SObjectInfo, problems: _Problems) -> FieldInfo | None:
    """Return the stage field, checked as a constant is; its problems are worded by the mapping's own check."""
    constant = FieldMap(constants={change.stage_field: change.rule.stage})
    problems.mapping(constant, lead, Purpose(creates=False, updates=True), ())
    info = lead.find(change.stage_field)
    if info is not None and info.type not in _STAGE_TYPES:
        problems.sentences.append(f"stage_field {info.name}: it is of type {info.type}, and a stage is text")
        return None
    if info is not None:
        problems.ladder(info, change.rule)
    return info


def _common_columns(settings: PlanSettings) -> dict[str, str]:
    columns = {column: f"mapped to {name}" for column, name in settings.field_map.columns.items()}
    return {settings.key: "key"} | columns


def _stage_columns(change: UpdateStage) -> dict[str, str]:
    uses = {
        change.lead_id: "lead_id",
        change.rule.score: "score",
        change.rule.current_stage: "current_stage",
    }
    return {column: use for column, use in uses.items() if column is not None}
