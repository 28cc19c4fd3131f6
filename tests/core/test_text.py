# ruff: noqa: DTZ001 - clocks without zone are what is meant
"""A cell of the rejects file is read as the value was that it stands for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.keys import key_text
from airflow_provider_sfleads.core.stage import StageRule
from airflow_provider_sfleads.core.text import cell_text, is_container, is_null, number_of
from airflow_provider_sfleads.core.values import Refusal, convert
from airflow_provider_sfleads.salesforce.describe import FieldInfo
from tests.core.fields import any_field

BERLIN = ZoneInfo("Europe/Berlin")
EAST = timezone(timedelta(hours=5, minutes=30))
CHOICES = frozenset({"a one", "b;two", "c three"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7.0, "7"),
        (7.5, "7.5"),
        (-0.0, "0"),
        (2.0**60, "1152921504606846976"),
        (1e23, "99999999999999991611392"),
        (1e-7, "1e-07"),
        (float("inf"), "inf"),
        (float("nan"), ""),
        (Decimal("7.0000000000"), "7"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0E-10"), "0"),
        (Decimal("NaN"), ""),
        (Decimal("1E+1000001"), "1E+1000001"),
        (None, ""),
        ("", ""),
        ("  ", "  "),
        ("=1+1\r\n\0", "=1+1\r\n\0"),
        ("#N/A", "#N/A"),
        (True, "true"),
        (date(999, 1, 2), "0999-01-02"),
        (datetime(2026, 3, 5, 10), "2026-03-05T10:00:00"),
        (datetime(2026, 3, 5, 10, tzinfo=BERLIN), "2026-03-05T10:00:00+01:00"),
        (time(9), "09:00:00"),
        (timedelta(hours=26), "26:00:00"),
        (["A one", None, " C three "], "A one;C three"),
        ([1, 2.0, Decimal("3.50")], "1;2;3.5"),
        ([], ""),
        (b"\x00\xff", "AP8="),
        pytest.param(memoryview(b"\x00\xff"), "AP8=", id="memoryview-'AP8='"),
    ],
    ids=repr,
)
def test_texts(value: object, text: str) -> None:
    """Numbers as the key has them, ISO 8601, choices with semicolons, and nothing where there is nothing."""
    assert cell_text(value) == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1, "b": [Decimal("1.5"), None]}, {"a": 1, "b": ["1.5", None]}),
        ({date(2026, 1, 2): float("nan")}, {"2026-01-02": None}),
        ([{"a": b"\x00"}, ("x", {1})], [{"a": "AA=="}, ["x", [1]]]),
        ([b"\xff"], ["/w=="]),
    ],
    ids=repr,
)
def test_objects(value: object, found: object) -> None:
    """What the sync takes for no field is JSON, whatever it holds and whatever its keys are."""
    assert json.loads(cell_text(value)) == found
    assert isinstance(convert(FieldInfo(name="F", type="multipicklist"), value), Refusal)


@pytest.mark.parametrize("value", [b"abc", {"Hot": 1}, [["Hot"]], [b"Hot"]], ids=repr)
def test_what_is_no_choice(value: object) -> None:
    """A multi-select takes text or a list of texts, and never what Python shows of something else."""
    refused = convert(FieldInfo(name="F", type="multipicklist", length=255), value)
    assert isinstance(refused, Refusal)
    assert refused.code == "INVALID_TYPE_ON_FIELD_IN_RECORD"


def test_a_choice_with_a_semicolon_is_two() -> None:
    """Salesforce takes it so, and so does who feeds the reject back."""
    field = FieldInfo(name="F", type="multipicklist", restricted_picklist=True, picklist_values=frozenset("ab"))
    assert convert(field, ["a;b"]) == convert(field, "a;b") == "a;b"


def test_a_number_that_is_cut_is_cut_as_its_text_is() -> None:
    """With truncate, a value counts as its text, wherever the export has it from."""
    field = FieldInfo(name="F", type="string", length=4)
    assert convert(field, 1234567.0, truncate=True) == convert(field, "1234567", truncate=True) == "1234"


# Surrogates cannot be written; the row is refused, and the file has a question mark.
_TEXTS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.text(st.sampled_from("aA;\r\n \t\0\"',=+-@0123456789.eE:TZ"), max_size=12),
    st.sampled_from(["", " ", "#N/A", "nan", "NaN", "inf", "true", "7.0", "007", "2026-03-05", "A one;C three", ";"]),
)
_NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.integers(-(2**70), 2**70).map(float),
    st.floats(width=32),
    st.decimals(),
    st.decimals(-(10**27), 10**27, places=10),
)
_MOMENTS = st.one_of(
    st.dates(),
    st.datetimes(
        timezones=st.sampled_from([None, UTC, EAST, BERLIN, timezone(timedelta(hours=-12))]), allow_imaginary=False
    ),
    st.times(timezones=st.sampled_from([None, UTC, EAST])),
    st.timedeltas(),
    st.timedeltas(timedelta(seconds=-1), timedelta(days=1, seconds=1)),
)
_SCALARS = st.one_of(st.none(), st.booleans(), _TEXTS, _NUMBERS, _MOMENTS, st.uuids())
_VALUES = st.one_of(
    _SCALARS,
    _SCALARS,
    st.binary(max_size=8),
    st.lists(_SCALARS | st.sampled_from(["A one", "C three", "b;two"]), max_size=3),
    st.sets(_TEXTS, max_size=3),
    st.lists(st.lists(_SCALARS, max_size=2) | st.binary(max_size=2), max_size=2),
    st.dictionaries(_TEXTS | st.dates() | st.none(), _SCALARS, max_size=2),
)


@settings(max_examples=1_000, deadline=None)
@given(field=any_field(CHOICES), value=_VALUES, truncate=st.booleans())
def test_a_cell_is_sent_as_its_value_is(field: FieldInfo, value: object, truncate: bool) -> None:  # noqa: FBT001
    """Of the text comes what comes of the value, for every type of field."""
    sent, again = (convert(field, each, truncate=truncate) for each in (value, cell_text(value)))
    if isinstance(sent, Refusal) and is_container(value):
        return  # it is the value itself that has to be mended
    if isinstance(sent, Refusal) and field.type in ("date", "datetime") and _is_number(value):
        return  # whether its digits are a date is another question
    assert type(again) is type(sent)
    assert again == sent or (_is_inexact(value) and float(str(again)) == float(str(sent)))


@settings(max_examples=500, deadline=None)
@given(value=_VALUES)
def test_a_cell_is_the_key_and_the_number_that_its_value_is(value: object) -> None:
    """The key, a score, whether there is anything at all."""
    text = cell_text(value)
    assert cell_text(text) == text
    if is_container(value):
        return
    assert key_text(text) == key_text(value)
    assert number_of(text) == number_of(value) or _is_inexact(value)
    assert is_null(text) is is_null(value)


@settings(max_examples=300, deadline=None)
@given(score=_SCALARS, stage=_SCALARS, eligible=st.lists(st.none() | _TEXTS, max_size=3))
def test_a_cell_is_filtered_as_its_value_is(score: object, stage: object, eligible: Iterable[str | None]) -> None:
    """By the score and by the stage that the warehouse knows."""
    rule = StageRule(
        stage="MQL", score="score", threshold=Decimal(60), current_stage="stage", from_stages=frozenset(eligible)
    )
    row = {"score": score, "stage": stage}
    assert rule.filter({name: cell_text(value) for name, value in row.items()}) == rule.filter(row)


def _is_inexact(value: object) -> bool:
    """Whether a float stands for several whole numbers; which of them is written makes no difference to Salesforce."""
    return isinstance(value, float) and abs(value) > 2**53


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)
