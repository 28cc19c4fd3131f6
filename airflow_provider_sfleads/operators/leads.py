"""Operators that create leads and move them to a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.operators.base import LeadSyncOperator, template_fields_of

if TYPE_CHECKING:
    from airflow_provider_sfleads.operators.load_settings import LoadSettings
    from airflow_provider_sfleads.pipeline.plan_settings import CreateLeads, UpdateStage

_NO_WAY_TO_FIND = "lead_id or external_id_field must be given, to find the lead by"


class SalesforceCreateLeadsOperator(LeadSyncOperator):
    """Create the leads that Salesforce does not have yet.

    With a unique ``external_id_field`` no lead is created twice, whatever fails and however often the task runs.
    Without one, retries, clears and re-runs of the same Dag run create no lead twice either, but another run does not
    know of them.

    :param fields: export column -> Lead field; LastName and Company must be among them or in ``constants``.
    :param constants: Lead field -> value, for every row.
    :param existing: what to do with leads that exist: ``"skip"`` leaves them alone, ``"update"`` writes the mapped
        fields where they differ (needs ``external_id_field``); an update never runs the assignment rule again.

    All further parameters are those of :class:`~airflow_provider_sfleads.operators.base.LeadSyncOperator`.
    """

    def __init__(self, *, fields: Mapping[str, str], existing: str = "skip", **kwargs: Any) -> None:
        super().__init__(fields=fields, **kwargs)
        self.require(fields=fields)
        self.existing = existing

    template_fields: Sequence[str] = template_fields_of(__init__, LeadSyncOperator.template_fields)

    def _change(self) -> CreateLeads:
        from airflow_provider_sfleads.operators import parameters as read
        from airflow_provider_sfleads.pipeline.plan_settings import CreateLeads

        return CreateLeads(existing=read.as_choice("existing", self.existing, ("skip", "update")))

    def _check(self, settings: LoadSettings) -> None:
        if settings.change.updates and not (settings.external_id_field or settings.match_email):
            raise ParameterError(
                "existing='update' needs external_id_field (or match_email): nothing else finds the lead"
            )
        if settings.external_id_field is None:
            self.log.warning(
                "No external_id_field: Salesforce cannot refuse a lead that exists already. Retries and re-runs of "
                "this Dag run know from results_path what they created; any other run creates its rows again%s. Give "
                "the org a unique external-ID field to be safe, or select on write_back's table in the export.",
                ", except those whose e-mail address is there" if settings.match_email else "",
            )


class SalesforceUpdateLeadStageOperator(LeadSyncOperator):
    """Move leads to a stage, never back.

    The stage in Salesforce is read first: leads at or beyond ``stage`` on the ``ladder``, converted and deleted ones
    are not touched, and none is created.

    :param lead_id: export column with the Salesforce Lead id; goes before ``external_id_field`` where both are given.
    :param stage: the stage to move to.
    :param stage_field: Lead field that holds the stage.
    :param score: export column with the score.
    :param threshold: only rows whose score is greater than this are moved.
    :param current_stage: export column with the stage the warehouse knows.
    :param from_stages: only rows whose ``current_stage`` is one of these; ``None`` among them stands for blank.
    :param ladder: stages in order. A blank stage is below the first rung; a stage that is not on it is left alone.
        Without a ladder only leads already at ``stage`` are left alone, and step-back protection is off. Where
        ``stage_field`` is a picklist, ``stage``, ``from_stages`` and ``ladder`` may be in any letter case.
    :param fields: export column -> further Lead field, written along with the stage.
    :param constants: further Lead field -> value, written along with the stage.

    All further parameters are those of :class:`~airflow_provider_sfleads.operators.base.LeadSyncOperator`.
    """

    def __init__(
        self,
        *,
        lead_id: str | None = None,
        stage: str = "MQL",
        stage_field: str = "Lead_Stage__c",
        score: str | None = None,
        threshold: float | str | None = None,
        current_stage: str | None = None,
        from_stages: Sequence[str | None] | None = None,
        ladder: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not (lead_id or self.external_id_field or self.match_email):
            raise ParameterError(f"{self.task_id}: {_NO_WAY_TO_FIND}")
        if (score is None) != (threshold is None):
            raise ParameterError(f"{self.task_id}: score and threshold go together")
        if (current_stage is None) != (from_stages is None):
            raise ParameterError(f"{self.task_id}: current_stage and from_stages go together")
        self.lead_id = lead_id
        self.stage = stage
        self.stage_field = stage_field
        self.score = score
        self.threshold = threshold
        self.current_stage = current_stage
        self.from_stages = from_stages
        self.ladder = ladder

    template_fields: Sequence[str] = template_fields_of(__init__, LeadSyncOperator.template_fields)

    def _change(self) -> UpdateStage:
        from airflow_provider_sfleads.core.stage import StageRule
        from airflow_provider_sfleads.operators import parameters as read
        from airflow_provider_sfleads.pipeline.plan_settings import UpdateStage

        known = None if self.from_stages is None else read.as_stages("from_stages", self.from_stages)
        ladder = None if self.ladder is None else read.as_stages("ladder", self.ladder)
        return UpdateStage(
            lead_id=self.lead_id or None,
            stage_field=read.as_text("stage_field", self.stage_field),
            rule=StageRule(
                stage=read.as_text("stage", self.stage).strip(),
                score=self.score,
                threshold=None if self.threshold is None else read.as_number("threshold", self.threshold),
                current_stage=self.current_stage,
                from_stages=None if known is None else frozenset(known),
                ladder=None if ladder is None else tuple(rung or "" for rung in ladder),
            ),
        )

    def _check(self, settings: LoadSettings) -> None:
        if not (self.lead_id or settings.external_id_field or settings.match_email):
            raise ParameterError(_NO_WAY_TO_FIND)
        if self.ladder is None:
            self.log.warning(
                "No ladder: step-back protection is off. A lead that Sales moved beyond %r is moved back to it.",
                self.stage.strip(),
            )
