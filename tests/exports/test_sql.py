# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import json
import multiprocessing
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import psycopg2  # type: ignore[import-untyped]
import pytest
from airflow.providers.duckdb.hooks.duckdb import DuckDBHook

from airflow_provider_sfleads.core.outcome import BadRow, Row
from airflow_provider_sfleads.exceptions import ExportError, ParameterError
from airflow_provider_sfleads.exports import SqlExport
from airflow_provider_sfleads.exports.python_values import plain_row
from airflow_provider_sfleads.exports.sql_export import cursor_batches

KINDS = ["postgres", "duckdb", "sqlite"]


@pytest.fixture
def duckdb_file(tmp_path: Path) -> Path:
    """An empty DuckDB file."""
    path = tmp_path / "warehouse.duckdb"
    duckdb.connect(str(path)).close()
    return path


@pytest.fixture
def connections(postgres_url: str, duckdb_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow connections named as their types, one of each real database."""
    url = urlsplit(postgres_url)
    postgres = {"conn_type": "postgres", "host": url.hostname, "port": url.port, "login": url.username}
    for name, connection in {
        "postgres": postgres | {"schema": "postgres", "password": "hunter2-secret"},
        "duckdb": {"conn_type": "duckdb", "host": str(duckdb_file)},
        "sqlite": {"conn_type": "sqlite", "host": str(tmp_path / "warehouse.sqlite")},
        "memory": {"conn_type": "duckdb"},
        "files": {"conn_type": "fs"},
        "strange": {"conn_type": "abacus"},
    }.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, connections: None) -> str:  # noqa: ARG001 - has to be there
    """Id of a connection to each kind of database."""
    return str(request.param)


def read(export: SqlExport) -> tuple[tuple[str, ...], list[Row | BadRow]]:
    """Return the columns and all rows of an export."""
    with export.open() as stream:
        return stream.columns, list(stream.rows)


@pytest.mark.parametrize("fetch_size", [1, 2, 3, 100])
def test_all_rows_come_in_order_whatever_the_fetch_size(kind: str, fetch_size: int) -> None:
    """Also the last, short batch."""
    sql = "SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, NULL UNION ALL SELECT 3, 'c' ORDER BY 1"
    assert read(SqlExport(kind, sql, fetch_size=fetch_size)) == (
        ("id", "name"),
        [{"id": 1, "name": "a"}, {"id": 2, "name": None}, {"id": 3, "name": "c"}],
    )


def test_a_query_without_rows_still_names_its_columns(kind: str) -> None:
    """The operator can tell a missing column from an empty day."""
    assert read(SqlExport(kind, "SELECT 1 AS id WHERE 1 = 0;")) == (("id",), [])


@pytest.mark.parametrize(
    ("kind", "sql", "parameters"),
    [
        ("postgres", "SELECT %(id)s AS id, '100%%' AS share", {"id": "a"}),
        ("postgres", "SELECT %s AS id, '100%%' AS share", ["a"]),
        ("postgres", "SELECT 'a' AS id, '100%' AS share", None),
        ("postgres", "SELECT 'a' AS id, '100%' AS share", {}),
        ("duckdb", "SELECT $id AS id, '100%' AS share", {"id": "a"}),
        ("duckdb", "SELECT ? AS id, '100%' AS share", ("a",)),
        ("sqlite", "SELECT :id AS id, '100%' AS share", {"id": "a"}),
        ("sqlite", "SELECT ? AS id, '100%' AS share", ["a"]),
    ],
)
@pytest.mark.usefixtures("connections")
def test_parameters_are_bound_in_the_drivers_own_style(kind: str, sql: str, parameters: object) -> None:
    """Without parameters a percent sign is only that."""
    assert read(SqlExport(kind, sql, parameters))[1] == [{"id": "a", "share": "100%"}]  # type: ignore[arg-type]


TYPES = {
    "uuid": "CAST('7927b2df-8bba-4d29-b9a2-b6e0beafe620' AS uuid)",
    "amount": "CAST(1.50 AS numeric(10, 2))",
    "zoned": "CAST('2026-01-02 03:04:05.000006+02' AS timestamptz)",
    "naive": "CAST('2026-01-02 03:04:05' AS timestamp)",
    "day": "CAST('2026-01-02' AS date)",
    "flag": "true",
    "nothing": "NULL",
    "text": "CAST('\u00fc\U0001f600\u2028' AS text)",
    "whole": "CAST(9007199254740993 AS bigint)",
    "double": "CAST(0.1 AS double precision)",
}
VALUES = {
    "uuid": "7927b2df-8bba-4d29-b9a2-b6e0beafe620",
    "amount": Decimal("1.50"),
    "zoned": datetime(2026, 1, 2, 1, 4, 5, 6, tzinfo=UTC),
    "naive": datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - without a zone is what is tried
    "day": date(2026, 1, 2),
    "flag": True,
    "nothing": None,
    "text": "ü\U0001f600\u2028",
    "whole": 9007199254740993,
    "double": 0.1,
}
OF_POSTGRES = {
    "nan": ("'NaN'::float8", float("nan")),
    "nan_amount": ("'NaN'::numeric", Decimal("NaN")),
    "bytes": (r"'\x0001'::bytea", b"\x00\x01"),
    "list": ("ARRAY['a', NULL]", ["a", None]),
    "uuids": ("ARRAY['7927b2df-8bba-4d29-b9a2-b6e0beafe620'::uuid]", ["7927b2df-8bba-4d29-b9a2-b6e0beafe620"]),
    "json": ("""'{"a": [1, null]}'::jsonb""", {"a": [1, None]}),
}
OF_DUCKDB = {
    "nan": ("'NaN'::double", float("nan")),
    "bytes": (r"'\x00\x01'::blob", b"\x00\x01"),
    "list": ("['a', NULL]", ["a", None]),
    "struct": ("{'a': 1.5::decimal(3,1), 'b': [date '2026-01-02']}", {"a": Decimal("1.5"), "b": [date(2026, 1, 2)]}),
    "choice": ("'a'::enum('a', 'b')", "a"),
    "nanos": ("timestamp_ns '2026-01-02 03:04:05.123456789'", datetime(2026, 1, 2, 3, 4, 5, 123456)),  # noqa: DTZ001
    "huge": ("12345678901234567890123456789::hugeint", Decimal(12345678901234567890123456789)),
    "span": ("to_seconds(90)::varchar", "00:01:30"),
}


@pytest.mark.parametrize("kind", ["postgres", "duckdb"])
@pytest.mark.usefixtures("connections")
def test_values_arrive_as_python_values(kind: str) -> None:
    """The mapping converts by the Lead field's type, and must not guess at text."""
    more = OF_POSTGRES if kind == "postgres" else OF_DUCKDB
    columns = TYPES | {name: sql for name, (sql, _) in more.items()}
    _, (row,) = read(SqlExport(kind, "SELECT " + ", ".join(f'{sql} AS "{name}"' for name, sql in columns.items())))
    expected = VALUES | {name: value for name, (_, value) in more.items()}
    assert isinstance(row, dict)
    for name, value in expected.items():
        assert repr(row[name]) == repr(value) or (row[name] == value and type(row[name]) is type(value)), name


@pytest.mark.usefixtures("connections")
def test_a_date_that_python_cannot_hold_is_its_text_in_duckdb() -> None:
    """An infinite timestamp among good ones."""
    sql = "SELECT * FROM (VALUES (1, timestamp '2026-01-02'), (2, timestamp 'infinity')) t(id, moment) ORDER BY id"
    _, rows = read(SqlExport("duckdb", sql))
    assert rows == [{"id": 1, "moment": datetime(2026, 1, 2)}, {"id": 2, "moment": "infinity"}]  # noqa: DTZ001


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("TIMESTAMP_NS 'infinity'", "infinity"),
        ("TIMESTAMP_S '-infinity'", "-infinity"),
        ("TIME '24:00:00'", "24:00:00"),
        ("MAP {'a': DATE 'infinity'}", [["a", "infinity"]]),
        ("MAP {'a': [TIMESTAMPTZ 'infinity']}", [["a", ["infinity"]]]),
    ],
)
def test_neither_does_another_type_of_duckdb_stand_for_another_moment(sql: str, value: object) -> None:
    """The last nanosecond of 2262, or the midnight before."""
    assert read(SqlExport("duckdb", f"SELECT {sql} AS at"))[1] == [{"at": value}]


ENDLESS = {
    "postgres": "SELECT generate_series(1, 1000000000000) AS id",
    "duckdb": "SELECT range AS id FROM range(1, 1000000000000)",
    "sqlite": "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n",
}


def test_rows_come_while_the_query_still_runs(kind: str) -> None:
    """The query would never end; leaving the context ends it."""
    with SqlExport(kind, ENDLESS[kind], fetch_size=10).open() as stream:
        assert [row for row, _ in zip(stream.rows, range(25), strict=False)] == [{"id": n} for n in range(1, 26)]
    assert list(stream.chunks) == []


def test_psycopg2_streams_as_well(postgres_url: str) -> None:
    """Older hooks use it; its named cursor describes its columns only after the first fetch."""
    with closing(psycopg2.connect(postgres_url)) as connection:
        sql = r"SELECT generate_series(1, 1000000000000) AS id, '\x01'::bytea b"
        with cursor_batches(connection, sql, None, 2) as (columns, batches):
            assert columns == ("id", "b")
            assert [plain_row(columns, values) for values in next(batches)] == [
                {"id": 1, "b": b"\x01"}, {"id": 2, "b": b"\x01"}
            ]  # fmt: skip


def test_two_columns_of_one_name_are_an_error_that_names_them(kind: str) -> None:
    """A join with SELECT * makes them easily."""
    with pytest.raises(ExportError, match=r"more than one column named 'id', 'n'; give each its own name with AS"):
        read(SqlExport(kind, "SELECT 1 AS id, 2 AS n, 3 AS id, 4 AS n, 5 AS x"))


@pytest.mark.parametrize("sql", ["SELECT no_such_column FROM nowhere", "SELEC 1"])
def test_a_query_that_is_refused_is_an_error_with_the_drivers_words(kind: str, sql: str) -> None:
    """And nothing chained to it, whose text would come out in the log as well."""
    with pytest.raises(ExportError, match=rf"Connection '{kind}' refuses the query: .*(nowhere|SELEC)") as caught:
        read(SqlExport(kind, sql))
    assert caught.value.__suppress_context__
    assert not caught.value.transient


@pytest.mark.usefixtures("connections")
def test_an_error_in_the_middle_is_an_export_error() -> None:
    """Rows that came before it came."""
    sql = "SELECT 6 / (3 - n) AS id FROM generate_series(1, 3) n"
    with SqlExport("postgres", sql, fetch_size=1).open() as stream:
        assert next(stream.rows) == {"id": 3}
        with pytest.raises(ExportError, match="failed while the rows were read: DivisionByZero") as caught:
            list(stream.rows)
    assert not caught.value.transient


@pytest.mark.usefixtures("connections")
def test_messages_hold_no_values_of_parameters() -> None:
    """Postgres repeats a value that it cannot convert."""
    with pytest.raises(ExportError, match=r"invalid input syntax for type integer: \"\*\*\*\"") as caught:
        read(SqlExport("postgres", "SELECT CAST(%(secret)s::text AS integer) AS id", {"secret": "s3cr3t-value"}))
    assert "s3cr3t" not in str(caught.value)


def test_a_statement_that_is_no_query_is_an_error(kind: str) -> None:
    """An export reads."""
    with pytest.raises(ExportError, match=rf"Connection '{kind}'|returns no rows at all"):
        read(SqlExport(kind, "CREATE TABLE made (id integer)"))


@pytest.mark.parametrize(
    ("conn_id", "message"),
    [
        ("nobody", "'nobody' cannot be used: .*Define it in Airflow"),
        ("strange", "'strange' cannot be used: .*abacus.*install the Airflow provider"),
        ("files", "'files' is of type 'fs' .*no SQL database"),
    ],
)
@pytest.mark.usefixtures("connections")
def test_a_connection_that_is_no_database_is_an_error_that_says_what_it_is(conn_id: str, message: str) -> None:
    """Three causes, three messages."""
    with pytest.raises(ExportError, match=message):
        read(SqlExport(conn_id, "SELECT 1 AS id"))


def test_a_server_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its password."""
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "u", "password": "hunter2"}
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", json.dumps(connection))
    with pytest.raises(ExportError, match="Connection 'down' cannot be opened: OperationalError") as caught:
        read(SqlExport("down", "SELECT 1 AS id"))
    assert "hunter2" not in str(caught.value)
    assert caught.value.transient


@pytest.mark.parametrize("size", [0, -1, True, "10", 2.5])
def test_a_fetch_size_that_is_none_is_refused(size: object) -> None:
    """At the Dag's parse."""
    with pytest.raises(ParameterError, match="fetch_size"):
        SqlExport("postgres", "SELECT 1", fetch_size=size)  # type: ignore[arg-type]


def _count(path: str) -> int:
    with closing(duckdb.connect(path, read_only=True)) as connection:
        return len(connection.execute("SELECT 1").fetchall())


@pytest.mark.usefixtures("connections")
def test_a_duckdb_file_stays_open_to_other_readers_and_is_free_afterwards(duckdb_file: Path) -> None:
    """A read-write connection would lock out every other process, and keep the write-back out of this one."""
    spawn = multiprocessing.get_context("spawn")
    with SqlExport("duckdb", ENDLESS["duckdb"]).open() as stream, spawn.Pool(1) as pool:
        next(stream.rows)
        assert pool.apply(_count, (str(duckdb_file),)) == 1
    with closing(duckdb.connect(str(duckdb_file))) as connection:
        connection.execute("CREATE TABLE written (id integer)").fetchall()


@pytest.mark.usefixtures("connections")
def test_a_duckdb_file_that_is_not_there_is_an_error_and_not_made(duckdb_file: Path) -> None:
    """A typing error in the path must not come out as a table that is missing."""
    duckdb_file.unlink()
    with pytest.raises(ExportError, match=r"There is no DuckDB database at .* connection 'duckdb' points") as caught:
        read(SqlExport("duckdb", "SELECT 1 AS id"))
    assert not caught.value.transient
    assert not duckdb_file.exists()


@pytest.mark.usefixtures("connections")
def test_a_duckdb_file_that_this_process_writes_can_be_read() -> None:
    """One process cannot open a file both ways, so the export takes the way that is open."""
    with closing(DuckDBHook(duckdb_conn_id="duckdb").get_conn()):
        assert read(SqlExport("duckdb", "SELECT 1 AS id"))[1] == [{"id": 1}]


@pytest.mark.usefixtures("connections")
def test_duckdb_in_memory_reads_files_by_sql() -> None:
    """It knows no read-only mode."""
    assert read(SqlExport("memory", "SELECT 1 AS id"))[1] == [{"id": 1}]


def test_the_connection_is_closed_when_the_consumer_fails(kind: str) -> None:
    """And the consumer's error is not taken for the database's; an unclosed connection would be a warning."""
    export = SqlExport(kind, ENDLESS[kind], fetch_size=1)

    def consume() -> None:
        with export.open() as stream:
            next(stream.rows)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()


@pytest.fixture
def broken_text(connections: None, tmp_path: Path) -> None:  # noqa: ARG001 - has to be there
    """An SQLite table with text that is not UTF-8."""
    with closing(sqlite3.connect(tmp_path / "warehouse.sqlite")) as connection:
        connection.execute("CREATE TABLE leads AS SELECT 1 AS id, CAST(x'fc' AS text) AS name")
        connection.commit()


@pytest.mark.parametrize("before", ["", "SELECT 0 AS id, 'Ray' AS name UNION ALL "], ids=["first", "later"])
@pytest.mark.usefixtures("broken_text")
def test_text_that_is_not_utf_8_is_an_error_that_no_retry_mends(before: str) -> None:
    """SQLite does not check what it stores."""
    sql = f"{before}SELECT * FROM leads"  # noqa: S608
    with pytest.raises(ExportError, match=r"failed while the rows were read: .*UTF-8.* CAST it") as caught:
        read(SqlExport("sqlite", sql, fetch_size=1))
    assert not caught.value.transient
