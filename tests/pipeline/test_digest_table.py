# ruff: noqa: TID253 - a test is no Dag file
"""Rows by digest on disk, held against a dictionary."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.pipeline import digest_table
from airflow_provider_sfleads.pipeline.digest_table import DigestTable
from airflow_provider_sfleads.pipeline.digests import Digests, digests

NUMBER = [("number", "<i8")]
# Digests whose first halves are alike, and the least and greatest of them.
ALIKE = [(7, low) for low in range(4)] + [(0, 0), (2**64 - 1, 2**64 - 1), (2**63, 1)]
KEYS = st.lists(st.sampled_from(ALIKE) | st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 3)), max_size=30)


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_table, "RUN_ROWS", 10)


def array(keys: list[tuple[int, int]]) -> Digests:
    """Digests as numpy has them."""
    return np.array(keys, np.uint64).reshape(-1, 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(added=st.lists(KEYS, max_size=8), asked=KEYS, looks=st.sets(st.integers(0, 8)))
def test_the_row_that_was_added_last_is_found(
    tmp_path: Path, added: list[list[tuple[int, int]]], asked: list[tuple[int, int]], looks: set[int]
) -> None:
    """However many runs there are, and also where rows are added after a search."""
    known: dict[tuple[int, int], int] = {}
    numbers = iter(range(10_000))
    with DigestTable(tmp_path / "table", NUMBER) as table:
        for place, keys in enumerate(added):
            values = [next(numbers) for _ in keys]
            table.add(array(keys), number=np.array(values, np.int64))
            known.update(zip(keys, values, strict=True))
            if place in looks:
                table.find(array(keys))
        wanted = [*asked, *(key for keys in added for key in keys)]
        found, rows = table.find(array(wanted))
        assert found.tolist() == [place for place, key in enumerate(wanted) if key in known]
        assert rows["number"].tolist() == [known[key] for key in wanted if key in known]
        whole = [row for batch in table.batches() for row in batch.tolist()]
        assert whole == sorted((*key, value) for key, value in known.items())
    assert not (tmp_path / "table").exists()


def test_what_a_killed_worker_left_is_not_found(tmp_path: Path) -> None:
    """Nor what an earlier use of the folder was."""
    keys = digests(pa.array([f"K-{n}" for n in range(25)]))
    left = DigestTable(tmp_path / "table", NUMBER).__enter__()
    left.add(keys, number=np.arange(25))
    with DigestTable(tmp_path / "table", NUMBER) as table:
        assert table.find(keys)[0].tolist() == []
        assert [*table.batches()] == []


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """No file of this process may grow beyond a size, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [100, 300, 700])
def test_what_a_full_disk_does_not_take_is_not_taken_for_nothing(tmp_path: Path, size: int) -> None:
    """It is an error as long as the disk is full, and all is there afterwards."""
    keys = digests(pa.array([f"K-{n}" for n in range(24)]))
    with DigestTable(tmp_path / "table", NUMBER) as table:
        table.add(keys[:12], number=np.arange(12))
        table.add(keys[12:15], number=np.arange(12, 15))
        with no_file_beyond(size):
            for _ in range(2):
                try:
                    found, _rows = table.find(keys)
                except OSError:
                    continue
                assert found.tolist() == [*range(15)]
        found, rows = table.find(keys)
        assert found.tolist() == rows["number"].tolist() == [*range(15)]


def test_its_files_are_their_user_s_alone(tmp_path: Path) -> None:
    """They hold fingerprints of people's data."""
    with DigestTable(tmp_path / "table", NUMBER) as table:
        keys = digests(pa.array([f"K-{n}" for n in range(36)]))
        for start in (0, 12, 24):
            table.add(keys[start : start + 12], number=np.arange(12))
        assert modes(tmp_path) == {0o700, 0o600}
        table.find(keys)
        assert modes(tmp_path) == {0o700, 0o600}


def modes(folder: Path) -> set[int]:
    """The permissions of all that lies in a folder."""

    def each() -> Iterator[int]:
        for path in folder.rglob("*"):
            yield path.stat().st_mode & 0o777

    return set(each())
