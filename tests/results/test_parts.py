"""Small parts become large ones, in order, whatever interrupts that."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.results import recorded
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import join_parts, marks, part_names, parts_below
from airflow_provider_sfleads.results.recorded import recorded_outcomes


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """An execution's folder."""
    return ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")


def files(folder: ResultsFolder) -> list[str]:
    """The names of the parts as they lie there."""
    return sorted(path.name for path in Path(folder.directory.path).glob("results-*.parquet"))


def keys(folder: ResultsFolder) -> list[str]:
    """The keys of the recorded rows, in order."""
    return [outcome.key for outcome in recorded_outcomes(folder)]


def write(
    folder: ResultsFolder, pages: Iterator[int] | list[int], *, part_rows: int = 50, resume: bool = False
) -> None:
    """Record pages of some rows each, every page durable at once."""
    with folder.writer(columns=("id",), part_rows=part_rows, resume=resume) as writer:
        number = len(keys(folder))
        for size in pages:
            for _ in range(size):
                code = "X" if number % 5 == 0 else None
                action = Action.REJECTED if code else Action.CREATED
                writer.write(Outcome(key=str(number), action=action, error_code=code), {"id": number})
                number += 1
            writer.flush()
            assert len(keys(folder)) == number


def test_pages_are_durable_one_by_one_and_one_part_in_the_end(folder: ResultsFolder) -> None:
    """The part's name says which ones it holds."""
    write(folder, [2, 2, 2])
    assert files(folder) == ["results-00000-00002.parquet"]
    assert keys(folder) == list("012345")


@settings(max_examples=25, deadline=None)
@given(
    tries=st.lists(st.lists(st.integers(0, 6), max_size=6), min_size=1, max_size=3),
    part_rows=st.integers(1, 12),
)
def test_no_row_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory, tries: list[list[int]], part_rows: int
) -> None:
    """However many tries record however many pages, each row is there once, in order, with its reject."""
    folder = ResultsFolder(tmp_path_factory.mktemp("parts"), "dag", "run", "task", -1, "1")
    for number, pages in enumerate(tries):
        write(folder, pages, part_rows=part_rows, resume=number > 0)
    rows = sum(map(sum, tries))
    assert keys(folder) == [str(number) for number in range(rows)]
    rejects = Path(folder.directory.file("rejects.csv")).read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in rejects] == [str(number) for number in range(0, rows, 5)]


def test_what_was_joined_and_not_yet_removed_does_not_count(folder: ResultsFolder) -> None:
    """A worker that is killed while it joins leaves the old parts beside the new one."""
    write(folder, [1, 1, 1])
    joined = Path(folder.directory.file("results-00000-00002.parquet"))
    whole = joined.read_bytes()
    (joined.parent / "results-00001.parquet").write_bytes(whole)
    (joined.parent / "results-00000-00001.parquet").write_bytes(whole)
    assert part_names(folder.directory) == [joined.name]
    write(folder, [1], resume=True)
    assert keys(folder) == list("0123")
    assert files(folder) == ["results-00000-00003.parquet"]


def test_a_marked_part_stays_by_itself(folder: ResultsFolder) -> None:
    """Its mark is for it alone, and the order stays."""
    with folder.writer(columns=("id",)) as writer:
        for number in range(6):
            if number == 2:
                with writer.marked("load-1"):
                    writer.write(Outcome(key="2", action=Action.CREATED))
            else:
                writer.write(Outcome(key=str(number), action=Action.CREATED))
                writer.flush()
    assert marks(folder.directory) == {"load-1": "results-00002.parquet"}
    assert files(folder) == ["results-00000-00001.parquet", "results-00002.parquet", "results-00003-00005.parquet"]
    assert keys(folder) == list("012345")


def test_large_parts_stay_as_they_are(folder: ResultsFolder) -> None:
    """Nothing is rewritten for nothing."""
    write(folder, [3, 3, 1, 1], part_rows=3)
    assert files(folder) == ["results-00000.parquet", "results-00001.parquet", "results-00002-00003.parquet"]
    before = [(path.name, path.stat().st_mtime_ns) for path in Path(folder.directory.path).glob("*.parquet")]
    join_parts(folder.directory, part_rows=3)
    assert [(path.name, path.stat().st_mtime_ns) for path in Path(folder.directory.path).glob("*.parquet")] == before


def test_what_is_joined_while_it_is_read_counts(folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another task of the Dag ends between the listing and the reading of its parts."""
    lead = "00Q5g00000AbCdEEAV"
    with folder.writer(columns=("id",)) as writer:
        for key in "ab":
            writer.write(Outcome(key=key, action=Action.CREATED, salesforce_id=lead))
            writer.flush()
        root, since = folder.of_dag, datetime(2026, 1, 1, tzinfo=UTC)
        listed = parts_below

        def joins(*asked: Any) -> Iterator[str]:
            paths = list(listed(*asked))
            join_parts(folder.directory, part_rows=10)
            return iter(paths)

        monkeypatch.setattr(recorded, "parts_below", joins)
        assert recorded.created_ids(root, [lead], since) == {lead}
        assert recorded.created_ids(root, [lead], datetime.now(UTC) + timedelta(days=1)) == set()


def test_a_broken_part_is_named(folder: ResultsFolder) -> None:
    """It may be another run's, and then it is that run's folder that a person has to see."""
    write(folder, [1])
    (Path(folder.directory.path) / "results-00007.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(ResultsError, match="results-00007"):
        recorded.created_ids(folder.of_dag, ["00Q5g00000AbCdEEAV"], datetime(2026, 1, 1, tzinfo=UTC))
