"""Which rows qualify for a stage, and which leads are left alone as they stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from airflow_provider_sfleads.core.outcome import Reason, Row
from airflow_provider_sfleads.core.text import BLANKS, is_null, number_of, text_of
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.salesforce.describe import FieldInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRule:
    """Who is moved to a stage.

    :param stage: the stage to move to.
    :param score: export column with the score, or ``None`` for no score filter.
    :param threshold: only rows whose score is greater than this are moved.
    :param current_stage: export column with the stage the warehouse knows.
    :param from_stages: only rows whose ``current_stage`` is one of these; ``None`` among them stands for blank.
    :param ladder: stages in order; a lead at or beyond ``stage`` in Salesforce is left alone.
    :param compared: brings a stage into the form in which stages are compared, that of ``from_stages`` and ``ladder``.
    """

    stage: str
    score: str | None = None
    threshold: Decimal | None = None
    current_stage: str | None = None
    from_stages: frozenset[str | None] | None = None
    ladder: tuple[str, ...] | None = None
    compared: Callable[[str], str] = str

    def of_field(self, info: FieldInfo) -> StageRule:
        """Spell the rule as the org does, with stages compared as Salesforce compares values of that field."""
        known = self.from_stages
        return replace(
            self,
            stage=info.spelled(self.stage.strip(BLANKS)),
            from_stages=None
            if known is None
            else frozenset(each and info.compared(each.strip(BLANKS)) for each in known),
            ladder=None if self.ladder is None else tuple(info.compared(rung.strip(BLANKS)) for rung in self.ladder),
            compared=info.compared,
        )

    def filter(self, row: Row) -> Reason | Refusal | None:
        """Return why the export's own columns rule a row out, the score's before the stage's.

        ``None`` where they do not.
        """
        found = self.of_score(row[self.score]) if self.score is not None else None
        if found is None and self.current_stage is not None:
            return self.of_known_stage(row[self.current_stage])
        return found

    def of_score(self, value: object) -> Reason | Refusal | None:
        """Return why a score rules its row out."""
        if self.threshold is None:
            return None
        if is_null(value):
            return Reason.NO_SCORE
        number = number_of(value)
        if number is not None:
            return Reason.BELOW_THRESHOLD if number <= self.threshold else None
        if str(value).strip(BLANKS).lower() == "nan":
            return Reason.NO_SCORE
        return Refusal(
            code="INVALID_TYPE_ON_FIELD_IN_RECORD",
            message=f"column {self.score!r}: the score is not a number",
        )

    def of_known_stage(self, value: object) -> Reason | None:
        """Return why the stage that the warehouse knows rules its row out."""
        if self.from_stages is None:
            return None
        known = None if is_null(value) else self.compared(text_of(value).strip(BLANKS))
        return None if known in self.from_stages else Reason.STAGE_NOT_ELIGIBLE

    def why_left_alone(self, current: str | None) -> Reason | None:
        """Return why a lead with that stage in Salesforce is left alone; ``None`` where it is to be moved."""
        here, there = self.compared((current or "").strip(BLANKS)), self.compared(self.stage)
        if here == there:
            return Reason.ALREADY_AT_STAGE
        if self.ladder is None or not here:
            return None
        if here not in self.ladder:
            return Reason.STAGE_NOT_ON_LADDER
        return Reason.BEYOND_STAGE if self.ladder.index(here) > self.ladder.index(there) else None


def why_left_alone(*, is_converted: bool, stage: str | None = None, rule: StageRule | None = None) -> Reason | None:
    """Return why nothing is written to a lead as it stands in Salesforce; ``None`` where it is written.

    :param stage: its stage there.
    :param rule: what it is to be moved by; ``None`` where only its values are updated.
    """
    if is_converted:
        return Reason.CONVERTED
    return None if rule is None else rule.why_left_alone(stage)


def ladder_problem(stage: str, ladder: Sequence[object] | None, compared: Callable[[str], str] = str) -> str | None:
    """Return what is wrong with a ladder, as a sentence.

    :param compared: brings a stage into the form in which stages are compared.
    """
    if ladder is None:
        return None
    rungs = [rung for rung in ladder if isinstance(rung, str) and rung.strip(BLANKS)]
    if isinstance(ladder, str) or len(rungs) < len(ladder):
        return (
            "ladder: it takes a list of stages, none of them blank (a lead without a stage is below the first anyway)"
        )
    forms = [compared(rung) for rung in rungs]
    if compared(stage) not in forms:
        return f"ladder: the stage {stage!r} is not on it"
    if len(set(forms)) != len(forms):
        return "ladder: a stage stands on it twice"
    return None
