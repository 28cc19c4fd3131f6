"""Says at the end how much has gone wrong, so that nobody takes a bed in which nothing happens for a proof."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.chaos.course import Told

#: What the schedules of this session have left.
ENDED = pytest.StashKey[list[tuple[Told, float]]]()
_EVENT = re.compile(
    "  (killed|TaskDeferred|cleared|Sales moves|a second run|all is well again|(?:limit|expire|abort|fail|restart) at)"
)


def summary(ended: list[tuple[Told, float]]) -> list[str]:
    """Lines for the end of a session.

    :param ended: what each schedule has left, and its seconds.
    """
    happened: Counter[str] = Counter()
    for told, _ in ended:
        for line in told.story:
            if found := _EVENT.match(line):
                happened[found[1]] += not line.endswith("in vain")
            for effect, hits in re.findall(r"(\w+) x(\d+)", line if line.startswith("  struck") else ""):
                happened[effect] += int(hits)
    tries = sum(told.tries for told, _ in ended)
    return [
        f"{len(ended)} schedules, {tries} tries, {sum(s for _, s in ended) / len(ended):.1f} s each",
        ", ".join(f"{what} {n}" for what, n in happened.most_common()),
    ]
