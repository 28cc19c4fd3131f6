# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport, SqlExport, parquet_reader
from airflow_provider_sfleads.exports.python_values import plain_row
from airflow_provider_sfleads.exports.record_batches import (
    MAX_BYTES,
    MAX_ROWS,
    Chunk,
    chunk_rows,
    row_lists,
    value_chunks,
)

ZONES = [None, UTC, ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=-3, minutes=-30)),
         timezone(timedelta(seconds=1172))]  # fmt: skip
SORTS: list[st.SearchStrategy[object]] = [
    st.text(), st.integers(), st.integers(-9, 9), st.floats(), st.booleans(), st.decimals(),
    st.decimals(-999, 999, places=2), st.dates(), st.times(), st.binary(max_size=3), st.timedeltas(), st.uuids(),
    st.lists(st.integers(), max_size=2), st.text(st.characters(categories=["Cs", "L"])),
    *(st.datetimes(timezones=st.just(zone), allow_imaginary=False) for zone in ZONES),
]  # fmt: skip
SORT = st.sampled_from([st.none() | sort for sort in SORTS])
COLUMN = SORT.flatmap(lambda sort: st.lists(sort, min_size=6, max_size=6))
MIXED = st.lists(st.one_of(st.none(), *SORTS), min_size=6, max_size=6)


def same(one: object, other: object) -> bool:
    """Whether two values are the same in type, value and, where they have one, offset of their zone."""
    if type(one) is not type(other):
        return False
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one == other and one.utcoffset() == other.utcoffset()
    return one is other or one == other or (isinstance(one, float) and math.isnan(one) and other != other)  # noqa: PLR0124


def rows_of(chunks: Iterable[Chunk]) -> list[Row | BadRow]:
    """Return the rows of chunks."""
    return [row for chunk in chunks for row in chunk_rows(chunk)]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(COLUMN, COLUMN, MIXED), min_size=1, max_size=3))
def test_values_are_the_same_in_columns(columns: list[list[object]]) -> None:
    """Of any type, and whatever the group before had."""
    names = tuple(f"c{number}" for number in range(len(columns)))
    values = list(zip(*columns, strict=True))
    found = rows_of(value_chunks(names, [values[:2], values[2:]]))
    expected = [plain_row(names, row) for row in values]
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert isinstance(row, dict)
        assert list(row) == list(wanted)
        assert all(map(same, row.values(), wanted.values())), (row, wanted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("a", pa.string()),
        (1, pa.int64()),
        (0.5, pa.float64()),
        (True, pa.bool_()),
        (Decimal("1.50"), pa.decimal128(38, 2)),
        (date(2026, 1, 2), pa.date32()),
        (datetime(2026, 1, 2), pa.timestamp("us")),  # noqa: DTZ001 - without a zone is what is tried
        (datetime(2026, 1, 2, tzinfo=UTC), pa.timestamp("us", "UTC")),
        (datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")), pa.timestamp("us", "Europe/Berlin")),
        (time(1), pa.time64("us")),
        (UUID(int=1), pa.string()),
        (memoryview(b"a"), pa.binary()),
        (None, pa.null()),
    ],
)
def test_plain_values_come_in_columns_of_their_type(value: object, kind: pa.DataType) -> None:
    """None among them is no matter, and a group of nothing but None goes on with the type."""
    (chunk,) = value_chunks(("x",), [[(value,), (None,)], [(None,)]])
    assert isinstance(chunk, pa.RecordBatch)
    assert chunk.schema == pa.schema([("x", kind)])
    assert chunk.num_rows == 3


@pytest.mark.parametrize("value", [[1], {"a": 1}, 2**63, Decimal("NaN"), "\ud83d", timedelta(1), date.max])
def test_other_values_come_in_rows(value: object) -> None:
    """Also a column of two types."""
    first = 1 if value == date.max else value
    chunks = list(value_chunks(("x",), [[(first,), (value,)]]))
    assert all(isinstance(chunk, list) for chunk in chunks)


def test_decimals_keep_their_digits_and_their_type_settles() -> None:
    """The scale only grows."""
    groups = [[(Decimal("1.5"),)], [(Decimal("0.125"),)], [(Decimal(7),)]]
    chunks = list(value_chunks(("x",), groups))
    assert [chunk.schema.field("x").type for chunk in chunks if isinstance(chunk, pa.RecordBatch)] == [
        pa.decimal128(38, 1), pa.decimal128(38, 3)
    ]  # fmt: skip
    assert [row["x"] for row in rows_of(chunks)] == [Decimal("1.5"), Decimal("0.125"), Decimal(7)]  # type: ignore[index]


def test_json_lines_come_in_columns_around_a_bad_line(tmp_path: Path) -> None:
    """And in rows where most of it is bad."""
    path = tmp_path / "leads.jsonl"
    lines = [json.dumps({"id": f"k{number}", "score": number / 8}) for number in range(5_000)]
    lines[3_000] = "no JSON"
    path.write_text("\n".join(lines + ["[]"] * 100))
    with FileExport(path).open() as stream:
        chunks = list(stream.chunks)
    rows = rows_of(chunks)
    assert sum(len(chunk) for chunk in chunks if isinstance(chunk, pa.RecordBatch)) >= 3_999
    assert isinstance(rows[3_000], BadRow)
    assert rows[:3_000] + rows[3_001:5_000] == [json.loads(line) for line in lines if line != "no JSON"]


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make connection ``db`` one of the given type."""
    paths = {kind: tmp_path / f"warehouse.{kind}" for kind in ("sqlite", "duckdb")}

    def connect(kind: str) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_DB", json.dumps({"conn_type": kind, "host": str(paths[kind])}))
        if kind == "duckdb":
            duckdb.connect(str(paths[kind])).close()

    return connect


SQL = {
    "sqlite": "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n LIMIT 45000) "
    "SELECT id, 'x' || id t FROM n",
    "duckdb": "SELECT range id, true b, 'x' || range t, NULL nothing, range::decimal(9, 2) d FROM range(45000)",
}


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize("fetch_size", [100, 30_000])
def test_a_query_comes_in_columns(connect: Callable[[str], None], kind: str, fetch_size: int) -> None:
    """In batches of a good size, whatever the size of a fetch."""
    connect(kind)
    export = SqlExport("db", SQL[kind], fetch_size=fetch_size)
    with export.open() as stream:
        chunks = list(stream.chunks)
    assert all(isinstance(chunk, pa.RecordBatch) for chunk in chunks)
    assert all(len(chunk) <= 20_000 for chunk in chunks)
    assert len(chunks) < 10
    first = 1 if kind == "sqlite" else 0
    assert [row["id"] for row in rows_of(chunks)] == list(range(first, first + 45_000))  # type: ignore[index]


def test_a_date_that_python_cannot_hold_is_its_text_in_chunks_as_well(connect: Callable[[str], None]) -> None:
    """It brings the rows of its batch out of their columns, and no others."""
    connect("duckdb")
    moment = "CASE range WHEN 30000 THEN timestamp 'infinity' ELSE timestamp '2026-01-02' END"
    export = SqlExport("db", f"SELECT range id, {moment} m FROM range(45000)")  # noqa: S608
    with export.open() as stream:
        chunks = list(stream.chunks)
    rows = rows_of(chunks)
    assert rows[29_999] == {"id": 29_999, "m": datetime(2026, 1, 2)}  # noqa: DTZ001 - without a zone is what is tried
    assert rows[30_000] == {"id": 30_000, "m": "infinity"}
    assert len(rows) == 45_000
    assert any(isinstance(chunk, pa.RecordBatch) for chunk in chunks)


def test_rows_before_an_error_of_the_query_come_before_it(connect: Callable[[str], None]) -> None:
    """Gathering batches must not swallow those at hand."""
    connect("sqlite")
    sql = "SELECT 1 AS id UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT abs(-9223372036854775808)"
    with SqlExport("db", sql, fetch_size=1).open() as stream:
        # SQLite computes a row ahead.
        assert list(chunk_rows(next(stream.chunks))) == [{"id": 1}, {"id": 2}]
        with pytest.raises(ExportError, match="failed while the rows were read"):
            next(stream.chunks)


def test_a_query_without_rows_has_no_chunks(connect: Callable[[str], None]) -> None:
    """But its columns."""
    connect("sqlite")
    with SqlExport("db", "SELECT 1 AS id WHERE 1 = 0").open() as stream:
        assert stream.columns == ("id",)
        assert list(stream.chunks) == []


def chunks_of(path: Path) -> list[Chunk]:
    """Return the chunks of a file."""
    with FileExport(path).open() as stream:
        return list(stream.chunks)


def test_parquet_comes_in_record_batches_of_bounded_size(tmp_path: Path) -> None:
    """By rows and by bytes; a wide row stands alone."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table({"id": range(50_000), "text": ["x" * 2_000] * 30_000 + ["y"] * 20_000}), path)
    batches = chunks_of(path)
    assert all(isinstance(batch, pa.RecordBatch) for batch in batches)
    assert max(len(batch) for batch in batches) <= MAX_ROWS
    assert max(batch.nbytes for batch in batches if isinstance(batch, pa.RecordBatch)) <= MAX_BYTES * 1.01


def test_wide_text_that_repeats_is_read_a_few_rows_at_once(tmp_path: Path) -> None:
    """The file says how wide its pages are, and a repeated text stands there once; every row comes all the same."""
    path = tmp_path / "leads.parquet"
    narrow, wide = pa.array(["y"] * 1_500).dictionary_encode(), pa.array(["x" * 30_000] * 3_500).dictionary_encode()
    texts = pa.chunked_array([narrow, wide]).unify_dictionaries()
    pq.write_table(pa.table({"id": range(5_000), "text": texts}), path, row_group_size=4_000, store_schema=False)
    with path.open("rb") as stream:
        batches = list(parquet_reader._batches(stream, "x", ("text", "id")))
    assert [number for batch in batches for number in batch["id"].to_pylist()] == list(range(5_000))
    assert batches[0].num_rows > 100
    assert sum(batch.nbytes > 10_000_000 for batch in batches) == 1  # the one by which it is seen


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 946_684_800_000_000_000, None], pa.timestamp("us")),
        pa.array([0, 253_402_300_799_000, None], pa.timestamp("ms", tz="Pacific/Kiritimati")),
        pa.array([0, 2_932_897, None], pa.date32()),
        pa.array([0, 2_932_897 * 86_400_000, None], pa.date64()),
        pa.array([0, 86_400, None], pa.time32("s")),
        pa.array([0, -1, None], pa.time64("us")),
        pa.array([0, 999_999_999 * 86_400 + 86_400, None], pa.duration("s")),
        pa.array([[0], [946_684_800_000_000_000], None], pa.list_(pa.timestamp("us"))),
        pa.array([b"a", b"\xfc", None]).cast(pa.string(), safe=False),
    ],
    ids=lambda column: str(column.type),
)
def test_values_that_python_cannot_hold_come_as_rows(tmp_path: Path, column: pa.Array) -> None:
    """As texts or bad rows, or as whatever ``open`` makes of them."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "at": column}), path)
    (chunk,) = chunks_of(path)
    assert isinstance(chunk, list)


def test_rows_before_an_error_come_before_it() -> None:
    """A list that is cut short by an error is not lost."""

    def rows(last: int) -> Iterator[Row]:
        yield from ({"id": number} for number in range(last))
        raise ExportError("cut off")

    chunks = row_lists(rows(3))
    assert next(chunks) == [{"id": 0}, {"id": 1}, {"id": 2}]
    with pytest.raises(ExportError, match="cut off"):
        next(chunks)


def test_a_row_that_is_bad_stays_one(tmp_path: Path) -> None:
    """With its message."""
    path = tmp_path / "leads.csv"
    path.write_text("id,n\na,1\nb\n")
    assert isinstance(rows_of(chunks_of(path))[1], BadRow)
