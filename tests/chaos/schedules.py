"""Which schedule a name such as ``plain-bulk-17`` stands for."""

from __future__ import annotations

from functools import cache

from tests.chaos import extras, intervals
from tests.chaos.drawing import Schedule, usual

#: Modes and APIs in the order in which they are drawn: each mode is among the first eight.
PAIRS = (
    ("unique", "bulk"),
    ("upsert", "collections"),
    ("plain", "collections"),
    ("stage", "bulk"),
    ("newer", "bulk"),
    ("mapped", "collections"),
    ("plain", "bulk"),
    ("newer", "collections"),
    ("unique", "collections"),
    ("upsert", "bulk"),
    ("stage", "collections"),
    ("mapped", "bulk"),
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
    return extras.more(usual(name, mode, api))
