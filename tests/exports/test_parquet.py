# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport

from .conftest import Read


def exported(table: pa.Table, path: Path) -> list[Row | BadRow]:
    """Return what an export makes of a table."""
    pq.write_table(table, path)
    with FileExport(path).open() as stream:
        assert stream.columns == tuple(table.column_names)
        return list(stream.rows)


def test_values_arrive_as_python_values(tmp_path: Path) -> None:
    """Nanoseconds too, without pandas; they are cut to microseconds."""
    nanos = 1_700_000_000_123_456_789
    columns = {
        "text": pa.array(["ü"]),
        "decimal": pa.array([Decimal("1.50")]),
        "nanos": pa.array([nanos], pa.timestamp("ns")),
        "zoned": pa.array([nanos], pa.timestamp("ns", tz="UTC")),
        "day": pa.array([date(2026, 1, 2)]),
        "clock": pa.array([3_600_000_000_001], pa.time64("ns")),
        "took": pa.array([1_000_001], pa.duration("ns")),
        "choice": pa.array(["a"]).dictionary_encode(),
        "list": pa.array([["a", None]]),
        "struct": pa.array([{"at": datetime(2026, 1, 2)}]),  # noqa: DTZ001 - without a zone is what is tried
        "lists_of_nanos": pa.array([[nanos]], pa.list_(pa.timestamp("ns"))),
        "bytes": pa.array([b"\x00"]),
        "flag": pa.array([True]),
        "nothing": pa.nulls(1),
        "nan": pa.array([float("nan")]),
    }
    (row,) = exported(pa.table(columns), tmp_path / "leads.parquet")
    assert isinstance(row, dict)
    moment = datetime(2023, 11, 14, 22, 13, 20, 123456)  # noqa: DTZ001
    assert str(row.pop("nan")) == "nan"
    assert row == {
        "text": "ü", "decimal": Decimal("1.50"), "nanos": moment, "zoned": moment.replace(tzinfo=UTC),
        "day": date(2026, 1, 2), "clock": time(1), "took": timedelta(milliseconds=1), "choice": "a",
        "list": ["a", None], "struct": {"at": datetime(2026, 1, 2)}, "lists_of_nanos": [moment],  # noqa: DTZ001
        "bytes": b"\x00", "flag": True, "nothing": None,
    }  # fmt: skip
    assert type(row["nanos"]) is datetime


BEYOND = {
    "timestamp": (pa.array([0, 946_684_800_000_000_000], pa.timestamp("us")), "31969-04-01T00:00:00.000000"),
    "zoned": (pa.array([0, 253_402_300_800], pa.timestamp("s", tz="Europe/Berlin")), "10000-01-01T00:00:00.000Z"),
    "day": (pa.array([0, 2_932_897], pa.date32()), "10000-01-01"),
    "milliseconds": (pa.array([0, -99_999 * 365 * 86_400_000], pa.date64()), "-97963-05-24"),
    "endless": (pa.array([0, 2**63 - 1], pa.timestamp("us")), "infinity"),
    "nanoseconds": (pa.array([0, 2**63 - 1], pa.timestamp("ns")), "infinity"),
    "zoned_nanoseconds": (pa.array([0, 1 - 2**63], pa.timestamp("ns", tz="UTC")), "-infinity"),
    "midnight": (pa.array([0, 86_400_000_000], pa.time64("us")), "24:00:00"),
    "seconds_of_midnight": (pa.array([0, 86_400_000], pa.time32("ms")), "24:00:00"),
    "since_ever": (pa.array([0, 1 - 2**31], pa.date32()), "-infinity"),
    "span": (pa.array([0, 2**62], pa.duration("s")), f"{2**62} s"),
    "list": (pa.array([[0], [0, 2**31 - 1, None]], pa.list_(pa.date32())), [date(1970, 1, 1), "infinity", None]),
    "struct": (pa.array([{"a": 0}, {"a": 2**31 - 1}], pa.struct([("a", pa.date32())])), {"a": "infinity"}),
}


@pytest.mark.parametrize(("column", "text"), BEYOND.values(), ids=BEYOND)
def test_a_date_that_python_cannot_hold_is_its_text(tmp_path: Path, column: pa.Array, text: object) -> None:
    """So it costs its row where it is mapped to a date, and nothing where nobody wants it."""
    rows = exported(pa.table({"id": ["a", "b"], "at": column}), tmp_path / "leads.parquet")
    assert [type(row) for row in rows] == [dict, dict]
    first, second = (row["at"] for row in rows if isinstance(row, dict))
    assert first == column[0].as_py()
    assert second == text


@pytest.mark.parametrize("store_schema", [False, True])
def test_the_timestamps_of_older_spark_stand_for_no_other_year(tmp_path: Path, store_schema: bool) -> None:  # noqa: FBT001
    """Of 96 bits, as Impala and Hive write them as well; 9999-12-31 says there that a row is valid."""
    moments = [datetime(9999, 12, 31), datetime(2026, 3, 5, 10, 0, 0, 123456), datetime(1600, 1, 1), None]  # noqa: DTZ001
    path = tmp_path / "leads.parquet"
    column = pa.array(moments, pa.timestamp("us"))
    pq.write_table(pa.table({"at": column}), path, use_deprecated_int96_timestamps=True, store_schema=store_schema)
    with FileExport(path).open() as stream:
        assert [row["at"] for row in stream.rows] == moments  # type: ignore[index]


def test_a_map_with_a_date_that_python_cannot_hold_is_read(tmp_path: Path) -> None:
    """It costs no row where nobody wants it."""
    days = [[("from", 0)], [("until", 2**31 - 1), ("none", None)], None]
    column = pa.array(days, pa.map_(pa.string(), pa.int32())).cast(pa.map_(pa.string(), pa.date32()))
    rows = exported(pa.table({"at": column}), tmp_path / "leads.parquet")
    assert rows == [{"at": [["from", date(1970, 1, 1)]]}, {"at": [["until", "infinity"], ["none", None]]}, {"at": None}]


def test_text_that_is_not_utf_8_is_a_bad_row(tmp_path: Path) -> None:
    """It costs its row and nothing else."""
    column = pa.array([b"a", b"\xfc", b"c"]).cast(pa.string(), safe=False)
    rows = exported(pa.table({"id": ["a", "b", "c"], "name": column}), tmp_path / "leads.parquet")
    bad = rows[1]
    assert isinstance(bad, BadRow)
    assert bad.values == {"id": "b", "name": None}
    assert "leads.parquet, row 2: the value of 'name' is outside" in bad.message
    assert [row["id"] for row in rows if not isinstance(row, BadRow)] == ["a", "c"]


def test_a_file_without_rows_is_an_export_without_rows(tmp_path: Path) -> None:
    """With its columns."""
    assert exported(pa.table({"id": pa.array([], pa.string())}), tmp_path / "leads.parquet") == []


def test_all_rows_of_all_row_groups_come_in_order(tmp_path: Path) -> None:
    """Also more than one batch a group, and the last short one."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table({"id": list(range(5_003))}), path, row_group_size=1_501)
    with FileExport(path).open() as stream:
        assert list(stream.rows) == [{"id": number} for number in range(5_003)]


def test_two_columns_of_one_name_are_an_error(tmp_path: Path) -> None:
    """Parquet allows them."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["id", "id"]), path)
    with pytest.raises(ExportError, match="more than one column named 'id'"), FileExport(path).open():
        pass


@pytest.mark.parametrize("content", [b"", b"PAR1", b"id,n\n" * 100])
def test_a_file_that_is_no_parquet_is_an_error(read: Read, content: bytes) -> None:
    """Also a cut-off one, whose footer is missing."""
    with pytest.raises(ExportError, match=r"leads.parquet (is no Parquet file|cannot be read)"):
        read(content, "leads.parquet")


def test_damage_in_the_middle_is_an_error_when_it_is_reached(tmp_path: Path) -> None:
    """The footer is fine then."""
    path = tmp_path / "leads.parquet"
    pq.write_table(pa.table({"id": [f"{number:040}" for number in range(50_000)]}), path, use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[100:4_000] = b"\xff" * 3_900
    path.write_bytes(content)
    with FileExport(path).open() as stream, pytest.raises(ExportError, match=r"leads.parquet"):
        list(stream.rows)
