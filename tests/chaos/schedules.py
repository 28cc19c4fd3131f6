"""Which schedule a name such as ``plain-bulk-17`` stands for."""

from __future__ import annotations

from functools import cache

from tests.chaos import extras, intervals, nights
from tests.chaos.drawing import Schedule, usual

#: How many schedules have each mode among them, and each trouble.
SAMPLE = 10
#: Modes and APIs in the order in which they are drawn: each mode is among the first ten.
PAIRS = (
    ("unique", "bulk"),
    ("upsert", "collections"),
    ("plain", "collections"),
    ("stage", "bulk"),
    ("newer", "bulk"),
    ("mapped", "collections"),
    ("plain", "bulk"),
    ("newer", "collections"),
    ("write_back", "collections"),
    ("changed_only", "bulk"),
    ("unique", "collections"),
    ("upsert", "bulk"),
    ("stage", "collections"),
    ("mapped", "bulk"),
    ("write_back", "bulk"),
    ("changed_only", "collections"),
)


def names(count: int) -> list[str]:
    """The first schedules, evenly over modes and APIs."""
    return ["{}-{}-{}".format(*PAIRS[number % len(PAIRS)], number // len(PAIRS)) for number in range(count)]


@cache
def draw(name: str) -> Schedule:
    """The schedule of a name.

    :raises ValueError: where it is none.
    """
    mode, api, number = name.split("-")
    if (mode, api) not in PAIRS or not number.isdigit():
        raise ValueError(f"{name!r} is no schedule: it takes mode, API and a number, such as plain-bulk-17")
    if mode == "newer":
        return intervals.older_and_newer(usual(name, "upsert", api))
    if mode == "mapped":
        return extras.mapped(usual(name, "upsert", api))
    if mode in ("write_back", "changed_only"):
        return (nights.written_back if mode == "write_back" else nights.changing)(
            extras.more(usual(name, "upsert", api))
        )
    return extras.more(usual(name, mode, api))
