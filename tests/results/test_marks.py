# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.columns import complete, schema
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import marks
from airflow_provider_sfleads.results.recorded import recorded_outcomes


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """A results folder."""
    return ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")


def batch(*keys: str, action: str = "created") -> pa.RecordBatch:
    """Rows by the column, as a job's results come."""
    return complete(pa.record_batch({"key": list(keys), "action": [action] * len(keys), "api": ["bulk"] * len(keys)}))


def keys(folder: ResultsFolder) -> list[str]:
    """The keys recorded."""
    return [outcome.key for outcome in recorded_outcomes(folder)]


def rejects(folder: ResultsFolder) -> list[str]:
    """The lines of the rejects file, less its header."""
    return (Path(folder.directory.path) / "rejects.csv").read_text().splitlines()[1:]


def part_sizes(folder: ResultsFolder) -> list[int]:
    """Rows of each part."""
    parts = sorted(Path(folder.directory.path).glob("results-*.parquet"))
    return [pq.read_metadata(part).num_rows for part in parts]


@settings(deadline=None, max_examples=60)
@given(pieces=st.lists(st.integers(0, 5), max_size=12), part_rows=st.integers(1, 6))
def test_rows_and_batches_come_back_in_the_order_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, pieces: Sequence[int], part_rows: int
) -> None:
    """Each once; 0 stands for a single row, another number for a batch of so many."""
    folder = ResultsFolder(tmp_path_factory.mktemp("any"), "d", "r", "t", -1, "1")
    wanted: list[str] = []
    with folder.writer(columns=(), part_rows=part_rows) as writer:
        for number, size in enumerate(pieces):
            names = [f"{number}.{place}" for place in range(size or 1)]
            wanted += names
            if size:
                writer.write_batch(batch(*names))
            else:
                writer.write(Outcome(key=names[0], action=Action.UPDATED))
    assert keys(folder) == wanted
    assert all(size <= max([part_rows, *pieces]) for size in part_sizes(folder))


def test_a_batch_lacks_what_is_null() -> None:
    """Every column of the results is there, in its order and type."""
    some = pa.record_batch(
        {"extra": [1, 2], "reason": pa.array(["a", "a"]).dictionary_encode(), "key": ["x", "y"], "action": ["b", "b"]}
    )
    lines = complete(some)
    assert lines.schema == schema()
    assert lines.select(["key", "action", "reason", "error_fields", "attempt", "batch"]).to_pylist() == [
        {"key": key, "action": "b", "reason": "a", "error_fields": [], "attempt": 1, "batch": None} for key in "xy"
    ]


def test_a_marked_part_holds_its_rows_and_no_others(folder: ResultsFolder) -> None:
    """However many they are, and also where there are none."""
    with folder.writer(columns=("id",), part_rows=2) as writer:
        writer.write_batch(batch("a"))
        with writer.marked("load-0"):
            writer.write_batch(batch("b", "c"))
            writer.flush()
            for key in "def":
                writer.write(Outcome(key=key, action=Action.REJECTED), {"id": key})
        with writer.marked("load-1"):
            pass
        writer.write_batch(batch("g"))
    assert part_sizes(folder) == [1, 5, 0, 1]
    assert marks(folder.directory) == {"load-0": "results-00001.parquet", "load-1": "results-00002.parquet"}
    assert keys(folder) == list("abcdefg")
    assert rejects(folder) == ["d,,", "e,,", "f,,"]


def test_of_a_marked_part_that_an_error_ends_nothing_is_recorded(folder: ResultsFolder) -> None:
    """Its rows can be collected again; what went before and comes after stays."""
    with folder.writer(columns=("id",)) as writer:
        writer.write(Outcome(key="a", action=Action.REJECTED), {"id": "a"})
        with pytest.raises(ZeroDivisionError), writer.marked("load-0"):  # noqa: PT012 - the block is what is tested
            writer.write_batch(batch(*map(str, range(12_000))))
            writer.write(Outcome(key="b", action=Action.REJECTED), {"id": "b"})
            raise ZeroDivisionError
        with writer.marked("load-1"):
            writer.write(Outcome(key="c", action=Action.REJECTED), {"id": "c"})
    assert keys(folder) == ["a", "c"]
    assert rejects(folder) == ["a,,", "c,,"]
    assert list(marks(folder.directory)) == ["load-1"]
    assert not list(Path(folder.directory.path).glob(".*"))


def test_a_worker_that_is_killed_in_a_marked_part_leaves_none_of_it(folder: ResultsFolder) -> None:
    """The try that resumes finds the loads before it."""
    first = folder.writer(columns=("id",), part_rows=2).__enter__()
    with first.marked("load-0"):
        first.write_batch(batch("a", "b", "c"))
    open_block = first.marked("load-1")
    open_block.__enter__()
    first.write_batch(batch(*map(str, range(12_000))))
    first.write_batch(batch("x"))
    with folder.writer(columns=("id",), resume=True) as second:
        assert list(marks(folder.directory)) == ["load-0"]
        with second.marked("load-1"):
            second.write_batch(batch("d"))
    assert keys(folder) == ["a", "b", "c", "d"]


def test_a_part_keeps_its_mark_when_its_unsent_rows_are_dropped(folder: ResultsFolder) -> None:
    """Its other rows are recorded; the try that resumes settles these."""
    with folder.writer(columns=("id",)) as writer, writer.marked("load-0"):
        writer.write_batch(batch("a"))
        writer.write_batch(batch("b", action="not_sent"))
        writer.write_batch(batch(*map(str, range(12_000))))
        writer.write_batch(batch("c", action="not_sent"))
    with folder.writer(columns=("id",), resume=True):
        pass
    assert keys(folder) == ["a", *map(str, range(12_000))]
    assert list(marks(folder.directory)) == ["load-0"]


def test_a_storage_that_fails_once_costs_no_row(folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that is whole is published as it is before anything else is written."""
    failures = [OSError("full"), OSError("full")]
    publish = Directory.publish

    def fail_twice(self: Directory, draft: Path, name: str) -> None:
        if failures and name.startswith("results-"):
            raise failures.pop()
        publish(self, draft, name)

    monkeypatch.setattr(Directory, "publish", fail_twice)
    with folder.writer(columns=("id",)) as writer:
        with pytest.raises(OSError, match="full"), writer.marked("load-0"):
            writer.write_batch(batch("a"))
        with pytest.raises(OSError, match="full"):
            writer.write_batch(batch("b"))
        writer.write_batch(batch("b"))
    assert keys(folder) == ["a", "b"]
    assert part_sizes(folder) == [1, 1]
    assert list(marks(folder.directory)) == ["load-0"]
