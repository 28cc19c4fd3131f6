from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import reject_examples

LONG = 60.0


def rejected(n: int, code: str | None = "BAD", **more: str | None) -> Outcome:
    """A row that was rejected."""
    return Outcome(key=f"K-{n}", action=Action.REJECTED, error_code=code, error_fields=("Email",), **more)  # type: ignore[arg-type]


def written(base: Path, outcomes: list[Outcome], *, part_rows: int = 50_000) -> ResultsFolder:
    """The results of these outcomes."""
    folder = ResultsFolder(base=base, dag_id="d", run_id="r", task_id="t", map_index=-1, execution="e")
    with folder.writer(columns=("key",), part_rows=part_rows) as writer:
        for outcome in outcomes:
            writer.write(outcome, {"key": outcome.key} if outcome.action is Action.REJECTED else None)
    return folder


def test_the_first_rows_of_each_code(tmp_path: Path) -> None:
    """Three of each, or all where there are fewer, with what is known of the first; also over several parts."""
    outcomes = [
        Outcome(key="fine", action=Action.CREATED),
        rejected(1, error_message="Email: invalid email address"),
        rejected(2, "WORSE", api="collections", error_message="x@y is bad"),
        *(rejected(n) for n in range(3, 9)),
        Outcome(key="later", action=Action.NOT_SENT, error_code="BAD"),
        rejected(9, "OTHER"),
    ]
    folder = written(tmp_path, outcomes, part_rows=2)
    found = reject_examples(folder.url, {"BAD": 7, "WORSE": 1, "NEVER": 2}, seconds=LONG)

    assert set(found) == {"BAD", "WORSE"}
    assert found["BAD"].keys == ("K-1", "K-3", "K-4")
    assert (found["BAD"].was_sent, found["BAD"].message) == (False, "Email: invalid email address")
    assert (found["WORSE"].keys, found["WORSE"].was_sent, found["WORSE"].fields) == (("K-2",), True, ("Email",))


def test_a_code_that_nobody_knows(tmp_path: Path) -> None:
    """Rows without a code are in no group."""
    folder = written(tmp_path, [rejected(1, None)])
    assert reject_examples(folder.url, {"UNKNOWN_EXCEPTION": 1}, seconds=LONG) == {}


def test_nothing_is_looked_at_once_time_is_up(tmp_path: Path) -> None:
    """What was found by then has to do."""
    folder = written(tmp_path, [rejected(1)])
    assert reject_examples(folder.url, {"BAD": 1}, seconds=-1.0) == {}


def test_results_that_are_gone_or_broken(tmp_path: Path) -> None:
    """Without results there are no examples; what is no Parquet is an error."""
    folder = written(tmp_path, [rejected(1)])
    assert reject_examples(f"file://{tmp_path}/nowhere", {"BAD": 1}, seconds=LONG) == {}
    for part in tmp_path.glob("**/results-*.parquet"):
        part.write_bytes(b"PAR1, and nothing else")
    with pytest.raises(ValueError, match="Parquet"):
        reject_examples(folder.url, {"BAD": 1}, seconds=LONG)


def test_what_is_found_is_all_that_is_read(tmp_path: Path) -> None:
    """Parts after the last example wanted are not opened."""
    folder = written(tmp_path, [rejected(n) for n in range(9)], part_rows=3)
    parts = sorted(Path(folder.directory.path).glob("results-*.parquet"))
    parts[-1].write_bytes(b"PAR1, and nothing else")
    if len(parts) == 1:
        pytest.fail("the parts were joined; this test needs several")
    assert reject_examples(folder.url, {"BAD": 9}, seconds=LONG)["BAD"].keys == ("K-0", "K-1", "K-2")


def test_memory_is_that_of_one_group(tmp_path: Path) -> None:
    """Of a rare code in many rows, most are looked at and none are kept."""
    outcomes = [Outcome(key=f"fine-{n}", action=Action.CREATED) for n in range(60_000)]
    folder = written(tmp_path, [*outcomes, rejected(1)])
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        assert reject_examples(folder.url, {"BAD": 1}, seconds=LONG)["BAD"].keys == ("K-1",)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert pa.total_allocated_bytes() - before < 2_000_000
