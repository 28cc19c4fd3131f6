# ruff: noqa: TID253 - a test is no Dag file
"""Steps of a load that break off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.load_steps import Settling
from airflow_provider_sfleads.pipeline.staged_pieces import Pieces, Role, Slot
from tests.pipeline.paging import DiskFolder


class Unmarked:
    """A sink that keeps nothing."""

    @contextmanager
    def marked(self, _mark: str) -> Iterator[None]:
        """Yield."""
        yield

    def add(self, _lines: object) -> None:
        """Take nothing down."""


def rows(*keys: str) -> pa.RecordBatch:
    """Staged rows of a load."""
    nothing = pa.nulls(len(keys), pa.string())
    columns = {"key": pa.array(keys, pa.string()), "lead_id": nothing, "match": nothing}
    columns |= {"apart": pa.array([False] * len(keys)), "salesforce_id": nothing}
    columns |= {"old_stage": nothing, "new_stage": nothing}
    return pa.RecordBatch.from_pydict(columns)


def test_what_a_step_had_staged_before_it_broke_off_is_not_completed_by_the_next(tmp_path: Path) -> None:
    """Its rows would stand there twice: in the load that was not settled, and in what had been made of it."""
    pieces = Pieces(DiskFolder(tmp_path))
    for part in (0, 1):
        for keys in (("a", "b"), ("c", "d")):
            pieces.add(Role.LOAD, Slot(part=part), rows(*keys))
    first, second = pieces.publish()
    asked: list[Sequence[str]] = []

    def newer(keys: Sequence[str]) -> Mapping[int, str | None]:
        asked.append(keys)
        if len(asked) == 3:
            raise ServiceUnavailableError("The warehouse is down.")
        return {0: None}

    terms: Any = SimpleNamespace(lines=lambda columns: columns)
    others: dict[str, Any] = dict.fromkeys(("plan", "lead", "jobs", "reading", "lookup", "memory", "scratch"))
    steps = Settling(pieces=pieces, sink=Unmarked(), terms=terms, newer=newer, **others)  # type: ignore[arg-type]
    with pytest.raises(ServiceUnavailableError):
        steps.leave_newer(first)
    rest = steps.leave_newer(second)
    assert rest is not None
    assert [piece.name for piece in pieces.all()] == [first.name, rest.name]
