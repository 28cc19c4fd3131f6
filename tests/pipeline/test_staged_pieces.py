from __future__ import annotations

import pytest

from airflow_provider_sfleads.pipeline.staged_pieces import Piece, Role, Slot


def piece(role: Role, part: int, kind: int, round_: int) -> Piece:
    """A piece of seven rows."""
    return Piece(role=role, slot=Slot(part=part, kind=kind, round=round_), rows=7)


@pytest.mark.parametrize(
    ("part", "kind", "round_", "comes"),
    [(0, 10, 1, True), (0, 0, 1, True), (0, 11, 1, False), (1, 10, 1, False), (0, 10, 2, False), (0, 10, 0, False)],
)
def test_rows_that_met_a_lead_come_of_their_own_load(part: int, kind: int, round_: int, *, comes: bool) -> None:
    """Loads of one part and round that differ in kind keep theirs apart."""
    load = piece(Role.LOAD, 0, 0, 0)
    assert piece(Role.PAGES, part, kind, round_).comes_of(load) is comes
    assert load.slot.met == Slot(part=0, kind=10, round=1)
