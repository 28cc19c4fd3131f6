"""Parameters are read after rendering, so each comes as itself or as text."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from jinja2 import Environment
from jinja2.nativetypes import NativeEnvironment

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.operators.parameters import (
    as_choice,
    as_count,
    as_fields,
    as_flag,
    as_list,
    as_number,
    as_text,
    as_tolerance,
)
from airflow_provider_sfleads.salesforce.collections import auto_assign

LADDER = ["New", "MQL", None]
FIELDS = {"name": "LastName", "firm's": 'Com"pany'}


def rendered(value: object) -> object:
    """A value as it comes out of a template that holds nothing else."""
    return Environment(autoescape=True).from_string("{{ value | safe }}").render(value=value)


def refuse(read: Callable[[], object], name: str) -> None:
    """The error names the parameter."""
    with pytest.raises(ParameterError, match=name):
        read()


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (False, False), ("True", True), ("False", False), (" true\n", True), ("FALSE", False)],
    ids=repr,
)
def test_flags(value: object, *, flag: bool) -> None:
    """A flag is True or False, itself or as text."""
    assert as_flag("dry_run", value) is flag
    assert as_flag("dry_run", rendered(value)) is flag


@pytest.mark.parametrize("value", ["maybe", "", "None", None, 1, 0, "1", "yes", "no", "{{ dry }}", [], 1.0], ids=repr)
def test_no_flags(value: object) -> None:
    """Nothing else is a flag, so that a typing error sends no leads."""
    refuse(lambda: as_flag("dry_run", value), "dry_run")


@pytest.mark.parametrize(
    ("value", "count"),
    [(1, 1), (200, 200), ("4", 4), (" 4\n", 4), (4.0, 4), ("4.0", 4), (Decimal(4), 4)],
    ids=repr,
)
def test_counts(value: object, count: int) -> None:
    """A count is a whole number within its bounds, and an int afterwards."""
    found = as_count("batch_size", value, least=1, most=200)
    assert found == count
    assert type(found) is int
    assert as_count("batch_size", rendered(value), least=1) == count


@pytest.mark.parametrize(
    "value",
    [0, 201, -1, 1.5, "1.5", "", None, "None", True, "many", "1_0", float("nan"), float("inf"), "1e999999", []],
    ids=repr,
)
def test_no_counts(value: object) -> None:
    """Nothing else is a count, and the bounds are named."""
    refuse(lambda: as_count("batch_size", value, least=1, most=200), "batch_size.*from 1 to 200")


def test_counts_without_a_greatest() -> None:
    """Without an upper bound the message names the lower one."""
    refuse(lambda: as_count("n", 0, least=1), "1 or more")
    assert as_count("n", 10**9, least=1) == 10**9


@pytest.mark.parametrize(
    ("value", "number"),
    [(80, "80"), (80.5, "80.5"), ("80.5", "80.5"), (" -1 ", "-1"), ("1e2", "100"), (0.1, "0.1")],
    ids=repr,
)
def test_numbers(value: object, number: str) -> None:
    """A number is exact: 0.1 is a tenth."""
    assert as_number("threshold", value) == Decimal(number)
    assert as_number("threshold", rendered(value)) == Decimal(number)


@pytest.mark.parametrize(
    "value", ["", None, "None", "80 %", "high", True, "nan", float("inf"), "1e999999", [80]], ids=repr
)
def test_no_numbers(value: object) -> None:
    """Nothing else is a number."""
    refuse(lambda: as_number("threshold", value), "threshold")


@pytest.mark.parametrize(
    ("value", "tolerance"),
    [
        (0, 0), (10, 10), ("0", 0), ("10", 10), (" 10 ", 10), (Decimal(3), 3), (10**6, 10**6),
        (0.0, 0.0), (0.05, 0.05), ("0.05", 0.05), ("0.0", 0.0), (0.999, 0.999), (Decimal("0.05"), 0.05), ("5e-2", 0.05),
    ],
    ids=repr,
)  # fmt: skip
def test_tolerances(value: object, tolerance: float) -> None:
    """What is written as a whole number is a count, what is written with a point a share."""
    for found in (as_tolerance("max_rejects", value), as_tolerance("max_rejects", rendered(value))):
        assert found == tolerance
        assert type(found) is type(tolerance)


@pytest.mark.parametrize(
    "value", [1.0, "1.0", 1.5, "1.5", -1, -0.5, "", None, "5%", True, "all", float("nan"), []], ids=repr
)
def test_no_tolerances(value: object) -> None:
    """A share of 1 or more, which may be meant as a count, is asked back; so is all else."""
    refuse(lambda: as_tolerance("max_rejects", value), "max_rejects")


@pytest.mark.parametrize("value", [LADDER, tuple(LADDER), [], ["it's", 'a "stage"']], ids=repr)
def test_lists(value: list[object]) -> None:
    """A list is itself, also as Jinja writes it, and in Airflow's native rendering."""
    assert as_list("ladder", value) == list(value)
    assert as_list("ladder", rendered(value)) == list(value)
    assert as_list("ladder", NativeEnvironment().from_string("{{ value }}").render(value=value)) == list(value)


@pytest.mark.parametrize(
    "value", ["MQL", "'MQL'", "New,MQL", "", None, "None", 7, {"New": 1}, "[New, MQL]", "[", b"x"], ids=repr
)
def test_no_lists(value: object) -> None:
    """Text that is one item is not a list of its letters, nor of one."""
    refuse(lambda: as_list("ladder", value), "ladder")


@pytest.mark.parametrize("value", [FIELDS, {}, {"Score__c": None}], ids=repr)
def test_fields(value: dict[str, object]) -> None:
    """A dict is itself, and as Jinja writes it."""
    assert as_fields("fields", value) == value
    assert as_fields("fields", rendered(value)) == value


@pytest.mark.parametrize("value", [None, "None"], ids=repr)
def test_no_fields_are_an_empty_dict(value: object) -> None:
    """Nothing is no field."""
    assert as_fields("constants", value) == {}


@pytest.mark.parametrize("value", ["", "LastName", [("a", "b")], 7, "{", "{a: b}", "[]"], ids=repr)
def test_what_is_no_dict(value: object) -> None:
    """Nothing else is a dict."""
    refuse(lambda: as_fields("constants", value), "constants")


def test_choices() -> None:
    """One of the words as it is spelled, and the error lists them."""
    assert as_choice("nulls", "clear", ("ignore", "clear")) == "clear"
    for value in ("Clear", " clear", "", None, True, ["clear"]):
        refuse(lambda value=value: as_choice("nulls", value, ("ignore", "clear")), "'ignore', 'clear'")  # type: ignore[misc]


def test_texts() -> None:
    """Text that is not blank."""
    assert as_text("key", "id") == "id"
    for value in ("", " \n", None, 7, ["id"]):
        refuse(lambda value=value: as_text("key", value), "key")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("default", "TRUE"),
        (None, "FALSE"),
        ("None", "FALSE"),
        ("01Q5g000000AbCd", "01Q5g000000AbCdEAK"),
        ("01Q5g000000AbCdEAK", "01Q5g000000AbCdEAK"),
    ],
    ids=repr,
)
def test_assignment_rules(value: object, header: str) -> None:
    """The org's active rule, none, or one by its id."""
    assert auto_assign(value) == header


@pytest.mark.parametrize(
    "value", ["", "Default", "TRUE", True, False, "01Q", "00Q5g000000AbCdEAK", 7, "none"], ids=repr
)
def test_no_assignment_rules(value: object) -> None:
    """A name, a flag, or the id of something else is refused: Salesforce would ignore it or fail every row."""
    refuse(lambda: auto_assign(value), "assignment_rule")


# Bugs that are reported: each mark goes when its bug does.


@pytest.mark.parametrize(
    "value", [{"New", "MQL"}, frozenset({"New", "MQL"}), "{'New', 'MQL'}"], ids=["set", "frozenset", "text"]
)
def test_a_ladder_has_an_order(value: object) -> None:
    """What has no order is no ladder."""
    refuse(lambda: as_list("ladder", value), "ladder")
