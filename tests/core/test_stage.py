"""The stage rule."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Reason
from airflow_provider_sfleads.core.stage import StageRule, ladder_problem
from airflow_provider_sfleads.core.values import Refusal
from airflow_provider_sfleads.salesforce.describe import FieldInfo

LADDER = ("New", "MQL", "SQL", "Won")
RULE = StageRule(stage="MQL", score="score", threshold=Decimal("80.5"), ladder=LADDER)


@pytest.mark.parametrize(
    ("current", "reason"),
    [
        ("New", None),
        (None, None),
        ("", None),
        ("  ", None),
        ("MQL", Reason.ALREADY_AT_STAGE),
        (" MQL ", Reason.ALREADY_AT_STAGE),
        ("SQL", Reason.BEYOND_STAGE),
        ("Won", Reason.BEYOND_STAGE),
        ("Nurture", Reason.STAGE_NOT_ON_LADDER),
        ("mql", Reason.STAGE_NOT_ON_LADDER),
    ],
    ids=repr,
)
def test_ladder(current: str | None, reason: Reason | None) -> None:
    """Only leads below the stage, or without one, are moved."""
    assert RULE.why_left_alone(current) == reason


@pytest.mark.parametrize("current", ["New", "SQL", "Nurture", None], ids=repr)
def test_without_ladder(current: str | None) -> None:
    """Without a ladder only leads at the stage are left alone."""
    rule = StageRule(stage="MQL")
    assert rule.why_left_alone(current) is None
    assert rule.why_left_alone("MQL") is Reason.ALREADY_AT_STAGE


PICKLIST = FieldInfo(
    name="Stage__c", type="picklist", picklist_values=(*LADDER[:3], "Nurture"), inactive_values=("Won",)
)


def in_any_case(word: str) -> st.SearchStrategy[str]:
    """A word, each letter of it in either case."""
    return st.tuples(*(st.sampled_from([letter.lower(), letter.upper()]) for letter in word)).map("".join)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_picklist_knows_no_letter_case(data: st.DataObject) -> None:
    """However stages are spelled in the rule, the export and Salesforce, the decisions are the same."""
    stage, known, current = (data.draw(st.sampled_from([*LADDER, "Other"])) for _ in range(3))
    stage = stage if stage in LADDER else "MQL"
    plain = StageRule(stage=stage, current_stage="at", from_stages=frozenset({"New", "Other", None}), ladder=LADDER)
    mixed = StageRule(
        stage=data.draw(in_any_case(stage)),
        current_stage="at",
        from_stages=frozenset({data.draw(in_any_case("New")), data.draw(in_any_case("Other")), None}),
        ladder=tuple(data.draw(in_any_case(rung)) for rung in LADDER),
    )
    assert ladder_problem(mixed.stage, mixed.ladder, PICKLIST.compared) is None
    rule = mixed.of_field(PICKLIST)
    assert rule.stage == stage
    assert rule.why_left_alone(data.draw(in_any_case(current))) == plain.why_left_alone(current)
    assert rule.filter({"at": data.draw(in_any_case(known))}) == plain.filter({"at": known})
    assert rule.filter({"at": None}) == plain.filter({"at": None})


def test_a_text_field_minds_letter_case() -> None:
    """What is text is compared and written as it is."""
    info = FieldInfo(name="Stage__c", type="string")
    exact = StageRule(stage="mql", current_stage="at", from_stages=frozenset({"New"}), ladder=("New", "mql"))
    rule = exact.of_field(info)
    assert rule.stage == "mql"
    assert rule.why_left_alone("MQL") is Reason.STAGE_NOT_ON_LADDER
    assert rule.why_left_alone("mql") is Reason.ALREADY_AT_STAGE
    assert rule.filter({"at": "new"}) is Reason.STAGE_NOT_ELIGIBLE


@pytest.mark.parametrize(
    ("ladder", "words"), [(("New", "mql"), None), (("New", "Sql"), "not on it"), (("mql", "New", "NEW"), "twice")]
)
def test_ladders_of_a_picklist(ladder: tuple[str, ...], words: str | None) -> None:
    """A ladder has the stage in any letter case, and no stage in two."""
    problem = ladder_problem("MQL", ladder, PICKLIST.compared)
    assert problem is None if words is None else words in (problem or "")


@given(st.sampled_from(LADDER), st.sampled_from(LADDER))
def test_no_step_back(stage: str, current: str) -> None:
    """For every pair of rungs, a lead is moved up or not at all."""
    moved = StageRule(stage=stage, ladder=LADDER).why_left_alone(current) is None
    assert moved == (LADDER.index(current) < LADDER.index(stage))


@pytest.mark.parametrize("score", [80.51, Decimal("80.51"), "80.51", " 81 ", 81, "8.1e1"], ids=repr)
def test_above_the_threshold(score: object) -> None:
    """A greater score passes, whatever its type."""
    assert RULE.filter({"score": score}) is None


@pytest.mark.parametrize("score", [80.5, Decimal("80.50"), "80.5", 0, -1, "8"], ids=repr)
def test_not_above_the_threshold(score: object) -> None:
    """The threshold itself does not pass."""
    assert RULE.filter({"score": score}) is Reason.BELOW_THRESHOLD


@pytest.mark.parametrize("score", [None, "", " ", float("nan"), Decimal("NaN"), "NaN", "nan"], ids=repr)
def test_no_score(score: object) -> None:
    """A missing score has a reason of its own."""
    assert RULE.filter({"score": score}) is Reason.NO_SCORE


@pytest.mark.parametrize("score", ["high", True, "inf", b"90", [90]], ids=repr)
def test_a_score_that_is_no_number(score: object) -> None:
    """A score that is no number is refused, and its value not repeated."""
    refusal = RULE.filter({"score": score})
    assert isinstance(refusal, Refusal)
    assert refusal.code == "INVALID_TYPE_ON_FIELD_IN_RECORD"
    assert "high" not in refusal.message


@pytest.mark.parametrize(
    ("current", "eligible"),
    [("New", True), (" New ", True), (None, True), ("", True), (float("nan"), True), ("SQL", False), ("new", False)],
)
def test_from_stages_with_blank(current: object, eligible: bool) -> None:  # noqa: FBT001
    """None among the stages stands for no stage."""
    rule = StageRule(stage="MQL", current_stage="at", from_stages=frozenset({"New", None}))
    assert rule.filter({"at": current}) == (None if eligible else Reason.STAGE_NOT_ELIGIBLE)


def test_from_stages_without_blank() -> None:
    """Without None among them, a blank stage is not eligible; no stage at all lets no row through."""
    rule = StageRule(stage="MQL", current_stage="at", from_stages=frozenset({"New"}))
    assert rule.filter({"at": None}) is Reason.STAGE_NOT_ELIGIBLE
    nobody = StageRule(stage="MQL", current_stage="at", from_stages=frozenset())
    assert nobody.filter({"at": "New"}) is Reason.STAGE_NOT_ELIGIBLE


def test_no_filters() -> None:
    """Without score and stages every row qualifies."""
    assert StageRule(stage="MQL").filter({}) is None
    assert StageRule(stage="MQL", score="score").filter({"score": None}) is None


@pytest.mark.parametrize(
    ("ladder", "words"),
    [(("New",), "not on it"), ((), "not on it"), (("MQL", "New", "New"), "twice"), (("MQL", " "), "blank")],
)
def test_ladders_that_cannot_be(ladder: tuple[str, ...], words: str) -> None:
    """A ladder lacks nothing, repeats nothing and has no blank rung."""
    assert words in (ladder_problem("MQL", ladder) or "")


def test_ladders_that_can_be() -> None:
    """A ladder with the stage, or none."""
    assert ladder_problem("MQL", LADDER) is None
    assert ladder_problem("MQL", ("MQL",)) is None
    assert ladder_problem("MQL", None) is None


def test_a_ladder_is_no_text() -> None:
    """A ladder given as text (a template renders to text) is refused."""
    assert ladder_problem("MQL", "MQL")


def test_a_ladder_with_none() -> None:
    """None on a ladder is a problem to report, not a crash."""
    assert ladder_problem("MQL", (None, "MQL"))
