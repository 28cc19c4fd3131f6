# ruff: noqa: TID253 - a test is no Dag file
"""Rows that newer runs have brought up to date, by the time that they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from airflow_provider_sfleads.pipeline.column_equality import key_form
from airflow_provider_sfleads.pipeline.digests import Digests, digests
from airflow_provider_sfleads.results.confirmed_values import NewerRows
from airflow_provider_sfleads.results.memory import confirmation_schema
from tests.pipeline.org import lead_id


@dataclass
class Table:
    """A table in which newer runs leave their marks, which counts how often it is asked."""

    rows: dict[str, str | None] = field(default_factory=dict)
    counted: int = 0
    read: int = 0

    def count(self) -> int:
        """How many rows there are."""
        self.counted += 1
        return len(self.rows)

    def all(self) -> Iterable[pa.RecordBatch]:
        """The rows."""
        self.read += 1
        rows = [{"key": key, "salesforce_id": found, "is_newer": True} for key, found in self.rows.items()]
        return [pa.RecordBatch.from_pylist(rows, schema=confirmation_schema())]


def _digests(keys: pa.Array) -> Digests:
    return digests(key_form(None, keys))


def test_rows_are_read_again_only_where_another_run_has_written(tmp_path: Path) -> None:
    """As many as before is nothing new; keys that are one key are one."""
    table = Table({"K-1": lead_id(1)})
    with NewerRows(tmp_path, _digests, count=table.count, rows=table.all, fresh=0.0, share=0.0) as newer:
        assert newer.among(["K-0", "k-1", "K-2"]) == {1: lead_id(1)}
        assert newer.among([]) == {}
        assert (table.counted, table.read) == (2, 1)
        table.rows["K-2"] = None
        assert newer.among(["K-0", "k-1", "K-2"]) == {1: lead_id(1), 2: None}
        assert table.read == 2


def test_an_answer_counts_for_a_moment(tmp_path: Path) -> None:
    """A page takes a fraction of that, and a warehouse may take longer to say anything."""
    table = Table()
    with NewerRows(tmp_path, _digests, count=table.count, rows=table.all, fresh=60.0) as newer:
        for _ in range(100):
            assert newer.among(["K-1"]) == {}

    assert table.counted == 1


def test_threads_share_it(tmp_path: Path) -> None:
    """Those that carry the pages."""
    table = Table({f"K-{n}": lead_id(n) for n in range(0, 1000, 2)})
    with (
        NewerRows(tmp_path, _digests, count=table.count, rows=table.all) as newer,
        ThreadPoolExecutor(4) as pool,
    ):
        pages = [[f"K-{n}" for n in range(start, start + 100)] for start in range(0, 1000, 100)]
        found = list(pool.map(newer.among, pages))

    assert [sorted(each) for each in found] == [list(range(0, 100, 2))] * 10
    assert table.read == 1
