"""What a plan goes by: the parameters of a sync as far as they decide what becomes of a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.salesforce.describe import Needs


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateLeads:
    """What the create operator alone asks for.

    :param existing: ``skip`` leaves leads that exist alone, ``update`` writes the mapped fields.
    """

    operation: ClassVar[str] = "create"
    creates: ClassVar[bool] = True
    existing: str

    @property
    def updates(self) -> bool:
        """Whether leads that exist are changed."""
        return self.existing == "update"

    @property
    def may_undo(self) -> bool:
        """Whether a run of an older interval could undo what a newer one wrote."""
        return self.updates


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStage:
    """What the stage operator alone asks for.

    :param rule: the stage, its filters and its ladder.
    :param stage_field: API name of the Lead field that holds the stage.
    :param lead_id: export column with the Lead id.
    """

    operation: ClassVar[str] = "update_stage"
    creates: ClassVar[bool] = False
    updates: ClassVar[bool] = True
    rule: StageRule
    stage_field: str
    lead_id: str | None

    @property
    def may_undo(self) -> bool:
        """Whether a run of an older interval could undo what a newer one wrote: a ladder keeps the lead where it is."""
        return self.rule.ladder is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSettings:
    """The parameters that a plan goes by, rendered and checked; see the operators for their meaning.

    :param change: what is changed in Salesforce, with the parameters that only the operator for it has.
    :param auto_assign: ``assignment_rule`` as Salesforce's header takes it: ``TRUE``, ``FALSE`` or a rule's id.
    """

    change: CreateLeads | UpdateStage
    key: str
    external_id_field: str | None
    field_map: FieldMap
    auto_assign: str
    allow_duplicates: bool
    match_email: bool
    dry_run: bool

    @property
    def operation(self) -> str:
        """The name of the change in reports and tables."""
        return self.change.operation

    @property
    def may_undo(self) -> bool:
        """Whether a run of an older interval could undo what a newer one wrote."""
        return self.change.may_undo

    @property
    def needs(self) -> Needs:
        """What the Run-As user has to be allowed."""
        return Needs(
            creates=self.change.creates,
            updates=self.change.updates,
            contacts=self.change.creates and self.match_email,
            active_rule=self.auto_assign == "TRUE",
        )
