"""Rows that newer runs have brought up to date, by the time that they are sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from airflow_provider_sfleads.results.confirmed_values import Confirmation, NewerRows


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

    def all(self) -> Iterable[Confirmation]:
        """The rows."""
        self.read += 1
        return [Confirmation(key=key, lead_id=found, values=None, is_newer=True) for key, found in self.rows.items()]


def _digests(keys: Sequence[str]) -> list[bytes]:
    return [hashlib.blake2b(key.strip().lower().encode(), digest_size=16).digest() for key in keys]


def test_rows_are_read_again_only_where_another_run_has_written(tmp_path: Path) -> None:
    """As many as before is nothing new; keys that are one key are one."""
    table = Table({"K-1": "00Q1"})
    with NewerRows(tmp_path, _digests, count=table.count, rows=table.all, fresh=0.0, share=0.0) as newer:
        assert newer.among(["K-0", "k-1", "K-2"]) == {1: "00Q1"}
        assert newer.among([]) == {}
        assert (table.counted, table.read) == (2, 1)
        table.rows["K-2"] = None
        assert newer.among(["K-0", "k-1", "K-2"]) == {1: "00Q1", 2: None}
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
    table = Table({f"K-{n}": f"00Q{n}" for n in range(0, 1000, 2)})
    with (
        NewerRows(tmp_path, _digests, count=table.count, rows=table.all) as newer,
        ThreadPoolExecutor(4) as pool,
    ):
        pages = [[f"K-{n}" for n in range(start, start + 100)] for start in range(0, 1000, 100)]
        found = list(pool.map(newer.among, pages))

    assert [sorted(each) for each in found] == [list(range(0, 100, 2))] * 10
    assert table.read == 1
