"""Read operator parameters after rendering: Jinja hands over text, and text is read strictly."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Collection, Mapping
from contextlib import suppress
from decimal import Decimal

from airflow_provider_sfleads.core.text import number_of
from airflow_provider_sfleads.exceptions import ParameterError

_WORDS = {"true": True, "false": False}


def as_flag(name: str, value: object) -> bool:
    """Return a switch: a bool, or the text ``True`` or ``False``; nothing else, so that a typing error is no "yes".

    :raises ParameterError: for anything else.
    """
    if isinstance(value, bool):
        return value
    word = _WORDS.get(value.strip().lower()) if isinstance(value, str) else None
    if word is None:
        raise ParameterError(f"{name}={value!r}: it takes True or False")
    return word


def as_count(name: str, value: object, *, least: int, most: int | None = None) -> int:
    """Return a whole number within bounds.

    :raises ParameterError: for anything else.
    """
    number = number_of(value)
    bounds = f"from {least} to {most}" if most is not None else f"of {least} or more"
    inside = number is not None and number >= least and (most is None or number <= most)
    if number is None or not inside or number != number.to_integral_value():
        raise ParameterError(f"{name}={value!r}: it takes a whole number {bounds}")
    return int(number)


def as_number(name: str, value: object) -> Decimal:
    """Return a number.

    :raises ParameterError: for anything else.
    """
    number = number_of(value)
    if number is None:
        raise ParameterError(f"{name}={value!r}: it takes a number")
    return number


def as_tolerance(name: str, value: object) -> int | float:
    """Return how many rejects a run bears: a whole number is a count, a fraction in [0, 1) a share of the rows read.

    :raises ParameterError: for anything else.
    """
    number = number_of(value)
    if number is not None and number >= 0:
        is_whole = number == number.to_integral_value()
        is_share = isinstance(value, float) or not is_whole or (isinstance(value, str) and "." in value)
        if is_share and number < 1:
            return float(number)
        if not is_share:
            return int(number)
    raise ParameterError(f"{name}={value!r}: it takes a count (0 or more) or a share (0.0 up to, not with, 1.0)")


def as_list(name: str, value: object) -> list[object]:
    """Return a list; also one that Jinja has turned into text.

    :raises ParameterError: for anything else: text that is one item and not a list of one, a set, which has no order.
    """
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError):
            value = literal_eval(value.strip())
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ParameterError(f"{name}={value!r}: it takes a list")


def as_stages(name: str, value: object) -> list[str | None]:
    """Return a list of stages, trimmed; a blank one, like ``None``, stands for no stage.

    :raises ParameterError: for anything else.
    """
    stages = as_list(name, value)
    if not all(stage is None or isinstance(stage, str) for stage in stages):
        raise ParameterError(f"{name}={value!r}: it takes a list of stages")
    return [str(stage).strip() or None if stage is not None else None for stage in stages]


def as_fields(name: str, value: object) -> dict[str, object]:
    """Return a dict; also one that Jinja has turned into text; nothing is an empty one.

    :raises ParameterError: for anything else.
    """
    if isinstance(value, str):
        with suppress(ValueError, SyntaxError):
            value = literal_eval(value.strip())
    if value is None or isinstance(value, Mapping):
        return dict(value or {})
    raise ParameterError(f"{name}={value!r}: it takes a dict")


def as_choice(name: str, value: object, choices: Collection[str]) -> str:
    """Return one of a few words.

    :raises ParameterError: for anything else.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise ParameterError(f"{name}={value!r}: it takes one of {', '.join(map(repr, choices))}")


def as_text(name: str, value: object) -> str:
    """Return text that is not blank.

    :raises ParameterError: for anything else.
    """
    if isinstance(value, str) and value.strip():
        return value
    raise ParameterError(f"{name}={value!r}: it takes text that is not blank")
