# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pytest
from airflow.sdk import BaseHook

from airflow_provider_sfleads.exceptions import ExportError, ParameterError, WriteBackError
from airflow_provider_sfleads.exports import SqlExport, SqlTable
from airflow_provider_sfleads.results.warehouse import warehouse_of
from airflow_provider_sfleads.results.write_back import ready_table
from tests import plain_hook
from tests.results.states import State, write_back

DAY = timedelta(days=1)
NOW = datetime(2026, 1, 10, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgres_database(postgres_url: str) -> str:
    """Name of a database of this file's own: it is emptied after each test."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE write_back")
    return "write_back"


@pytest.fixture(params=["postgres", "duckdb", "sqlite", "plain"])
def warehouse(
    request: pytest.FixtureRequest,
    postgres_url: str,
    postgres_database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """Type of a real database, empty, at connection ``wh``."""
    url = urlsplit(postgres_url)
    connection = {"conn_type": request.param, "host": str(tmp_path / "warehouse")}
    if request.param in ("postgres", "plain"):
        connection |= {"host": str(url.hostname), "port": url.port, "login": str(url.username)}
        connection["schema"] = postgres_database
    monkeypatch.setenv("AIRFLOW_CONN_WH", json.dumps(connection))
    plain_hook.install(monkeypatch)
    yield request.param
    if request.param in ("postgres", "plain"):
        run("DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS mart CASCADE")


def run(sql: str) -> None:
    """Run SQL at the warehouse."""
    with closing(BaseHook.get_connection("wh").get_hook().get_conn()) as connection:  # type: ignore[no-untyped-call]
        cursor = connection.cursor()
        cursor.execute(sql)
        cursor.close()
        connection.commit()


def table(name: str = "lead_state") -> dict[str, tuple[object, ...]]:
    """Return what the table holds, by key."""
    with SqlExport("wh", f"SELECT * FROM {name}").open() as stream:  # noqa: S608 - a name of ours
        rows = [dict(row) for row in stream.rows]  # type: ignore[arg-type]
    found = {
        str(row.pop("key")): tuple(str(value) if hasattr(value, "year") else value for value in row.values())
        for row in rows
    }
    assert len(found) == len(rows), "a key is there twice"
    return found


def state(name: str = "lead_state") -> dict[str, tuple[object, ...]]:
    """Return id, action and stage, by key."""
    return {key: values[:3] for key, values in table(name).items()}


def row(key: str, stage: str | None = "MQL", salesforce_id: str | None = "00Q1", action: str = "updated") -> State:
    """Return a row to write back."""
    return State(key=key, salesforce_id=salesforce_id, action=action, stage=stage, finished_at=NOW)


def test_the_table_is_made_and_holds_one_row_a_key(warehouse: str) -> None:
    """With the times as they were, in UTC."""
    assert write_back(SqlTable("wh", "lead_state"), [row("a"), row("b", None, None)], interval_end=NOW - DAY) == 2
    with SqlExport("wh", "SELECT * FROM lead_state ORDER BY 1").open() as stream:
        assert stream.columns[:6] == ("key", "salesforce_id", "action", "stage", "synced_at", "interval_end")
        first = dict(next(stream.rows))  # type: ignore[arg-type]
    # Of a database of which no more is known, times have no zone; they are UTC.
    written = {"sqlite": str(NOW), "plain": NOW.replace(tzinfo=None)}.get(warehouse, NOW)
    before = {"sqlite": str(NOW - DAY), "plain": NOW.replace(tzinfo=None) - DAY}.get(warehouse, NOW - DAY)
    assert (first["synced_at"], first["interval_end"]) == (written, before)
    assert state() == {"a": ("00Q1", "updated", "MQL"), "b": (None, "updated", None)}


@pytest.mark.usefixtures("warehouse")
def test_writing_again_changes_nothing() -> None:
    """A retry after a lost connection must be safe."""
    target = SqlTable("wh", "lead_state")
    rows = [row("a"), row("b", "New")]
    write_back(target, rows, interval_end=NOW)
    before = table()
    assert write_back(target, rows, interval_end=NOW) == 2
    assert table() == before


@pytest.mark.usefixtures("warehouse")
def test_a_later_interval_replaces_and_keeps_what_it_does_not_know() -> None:
    """The stage and the id stay where the new ones are null, and keys that it does not have are left alone."""
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a"), row("b", "New"), row("c")], interval_end=NOW - DAY)
    write_back(target, [row("a", None, None, "unchanged"), row("b", "SQL", "00Q2")], interval_end=NOW)
    assert state() == {
        "a": ("00Q1", "unchanged", "MQL"), "b": ("00Q2", "updated", "SQL"), "c": ("00Q1", "updated", "MQL"),
    }  # fmt: skip


@pytest.mark.usefixtures("warehouse")
def test_an_older_interval_never_replaces_a_newer_one() -> None:
    """A backfill of last week runs today; keys that are new to the table are written all the same."""
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", "SQL")], interval_end=NOW)
    assert write_back(target, [row("a", "MQL"), row("b", "MQL")], interval_end=NOW - DAY) == 1
    assert state() == {"a": ("00Q1", "updated", "SQL"), "b": ("00Q1", "updated", "MQL")}


@pytest.mark.usefixtures("warehouse")
def test_intervals_compare_as_moments_whatever_their_zone() -> None:
    """A Dag in New York and one in UTC write the same table."""
    from zoneinfo import ZoneInfo

    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", "SQL")], interval_end=NOW)
    west = (NOW - timedelta(hours=1)).astimezone(ZoneInfo("Asia/Tokyo"))
    assert write_back(target, [row("a", "MQL")], interval_end=west) == 0


def one(*columns: str) -> tuple[object, ...]:
    """Some columns of the only row, times as text."""
    with SqlExport("wh", f"SELECT {', '.join(columns)} FROM lead_state").open() as stream:  # noqa: S608 - of ours
        (found,) = [dict(row) for row in stream.rows]  # type: ignore[arg-type]
    return tuple(str(value) if hasattr(value, "year") else value for value in found.values())


@pytest.mark.usefixtures("warehouse")
def test_an_operator_s_own_columns_go_by_its_own_intervals() -> None:
    """That the stages of a newer day are written says nothing of the values that the create operator confirmed."""
    target = SqlTable("wh", "lead_state")
    wrote = row("a", None, action="created")
    write_back(target, [replace(wrote, confirmed="v1")], interval_end=NOW - DAY, remembers=True)
    moved = replace(row("a"), confirmed="s1", is_moved=True, finished_at=NOW + DAY)
    write_back(target, [moved], interval_end=NOW, operation="update_stage", remembers=True)
    write_back(target, [replace(wrote, confirmed="v2")], interval_end=NOW - DAY, remembers=True)

    assert one("action", "stage", "created_values", "stage_values") == ("updated", "MQL", "v2", "s1")
    assert write_back(target, [wrote], interval_end=NOW - 2 * DAY, remembers=True) == 0
    assert one("created_values") == ("v2",)


@pytest.mark.usefixtures("warehouse")
def test_where_an_older_run_confirmed_other_values_nobody_knows_which_ones_hold() -> None:
    """It had not seen the newer one, so that they overlapped; all else stays as the newer one wrote it."""
    target = SqlTable("wh", "lead_state")
    newer = replace(row("a"), confirmed="v1", is_moved=True)
    write_back(target, [newer], interval_end=NOW, operation="update_stage", remembers=True)
    before = one("action", "stage", "synced_at", "interval_end", "moved_at", "stage_until")
    older = replace(row("a", "SQL"), confirmed="v0", is_moved=True, finished_at=NOW + DAY)
    more = {"interval_end": NOW - DAY, "operation": "update_stage", "remembers": True}
    counts = [write_back(target, [replace(older, confirmed=text)], **more) for text in ("v1", "v0", "v0")]

    assert counts == [0, 1, 0]
    assert one("action", "stage", "synced_at", "interval_end", "moved_at", "stage_until") == before
    assert one("stage_values") == ("",)


@pytest.mark.usefixtures("warehouse")
def test_an_older_stage_is_written_where_only_the_other_operator_is_newer() -> None:
    """A backfill of the stage Dag alone, after the leads were created for today."""
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", None, action="created")], interval_end=NOW)
    assert write_back(target, [row("a", "MQL")], interval_end=NOW - DAY, operation="update_stage") == 1
    assert one("action", "stage") == ("created", "MQL")


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("day", [NOW - 2 * DAY, NOW + DAY], ids=["older", "newer"])
def test_a_lead_that_is_created_anew_stands_at_no_stage_and_has_confirmed_nothing(day: datetime) -> None:
    """Sales had deleted it; whichever day brings it back."""
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", None, action="created")], interval_end=NOW - DAY)
    moved = replace(row("a"), confirmed="s1", is_moved=True)
    write_back(target, [moved], interval_end=NOW, operation="update_stage", remembers=True)
    write_back(target, [row("a", None, "00Q2", "created")], interval_end=day)

    assert one("salesforce_id", "action", "stage", "moved_at", "stage_values") == ("00Q2", "created", None, None, None)


@pytest.mark.usefixtures("warehouse")
def test_when_a_lead_was_moved_outlasts_what_finds_it_there_later() -> None:
    """So that the table still tells, after a re-run, which leads last night qualified."""
    target = SqlTable("wh", "lead_state")
    moved = replace(row("a"), is_moved=True)
    write_back(target, [moved], interval_end=NOW, operation="update_stage")
    again = replace(row("a", action="unchanged"), finished_at=NOW + DAY)
    write_back(target, [again], interval_end=NOW, operation="update_stage")
    write_back(target, [replace(again, stage=None)], interval_end=NOW + DAY)

    action, at, synced = one("action", "moved_at", "synced_at")
    assert action == "unchanged"
    assert (str(at)[:19], str(synced)[:19]) == ("2026-01-10 02:03:04", "2026-01-11 02:03:04")


@pytest.mark.usefixtures("warehouse")
def test_when_a_lead_was_moved_is_told_also_by_a_run_that_writes_after_a_newer_one_found_it_there() -> None:
    """The two overlapped: the newer one found at its stage what the older one had just moved there."""
    target = SqlTable("wh", "lead_state")
    found = replace(row("a", action="unchanged"), finished_at=NOW + DAY)
    moved = replace(row("a"), is_moved=True)
    write_back(target, [found], interval_end=NOW, operation="update_stage")
    counts = [write_back(target, [moved], interval_end=NOW - DAY, operation="update_stage") for _ in range(2)]

    action, at, synced = one("action", "moved_at", "synced_at")
    assert counts == [1, 0]
    assert action == "unchanged"
    assert (str(at)[:19], str(synced)[:19]) == ("2026-01-10 02:03:04", "2026-01-11 02:03:04")


@pytest.mark.usefixtures("warehouse")
def test_a_table_made_ready_can_be_selected_on_and_is_left_as_it_is() -> None:
    """Before the first run has written anything to it."""
    target = SqlTable("wh", "lead_state")
    ready_table(target, "create", remembers=False)
    assert table() == {}
    write_back(target, [row("a")], interval_end=NOW)
    before = table()
    ready_table(target, "create", remembers=False)
    assert table() == before
    ready_table(target, "update_stage", remembers=True)
    assert one("key", "stage_values") == ("a", None)


@pytest.mark.usefixtures("warehouse")
def test_a_run_without_an_interval_counts_as_of_its_own_time() -> None:
    """It saw the warehouse as it was then."""
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", "SQL")], interval_end=None, synced_at=NOW)
    assert write_back(target, [row("a", "MQL")], interval_end=NOW - DAY) == 0
    assert write_back(target, [row("a", "Won")], interval_end=NOW + DAY) == 1


@pytest.mark.usefixtures("warehouse")
def test_of_two_rows_with_one_key_the_last_one_counts() -> None:
    """Also far apart."""
    rows = [row("a", "New"), *(row(f"k{number}") for number in range(6_000)), row("a", "MQL")]
    assert write_back(SqlTable("wh", "lead_state"), rows, interval_end=NOW) == 6_001
    assert state()["a"] == ("00Q1", "updated", "MQL")


@pytest.mark.usefixtures("warehouse")
def test_ten_thousand_rows_are_written_and_replaced() -> None:
    """In several batches, the last one short."""
    target = SqlTable("wh", "lead_state")
    for day, stage in enumerate(("New", "MQL")):
        rows = (row(f"k{number}", stage) for number in range(10_001))
        assert write_back(target, rows, interval_end=NOW + day * DAY) == 10_001
    assert set(state().values()) == {("00Q1", "updated", "MQL")}
    assert len(table()) == 10_001


@pytest.mark.usefixtures("warehouse")
def test_no_rows_make_an_empty_table() -> None:
    """The next export can join it from the first day on."""
    assert write_back(SqlTable("wh", "lead_state"), [], interval_end=NOW) == 0
    assert table() == {}


@pytest.mark.usefixtures("warehouse")
def test_odd_text_comes_through() -> None:
    """Quotes, placeholders, line ends."""
    keys = ["it's", 'say "x"', "100%s", "{x}", "?", "$1", "a\nb\u2028", "ü\U0001f600", "a\\b"]
    write_back(SqlTable("wh", "lead_state"), [row(key) for key in keys], interval_end=NOW)
    assert set(state()) == set(keys)


def test_a_table_in_a_schema_and_a_name_that_needs_quotes(warehouse: str) -> None:
    """Plain names mean what they mean in the database's own SQL."""
    if warehouse != "sqlite":
        run("CREATE SCHEMA mart")
        write_back(SqlTable("wh", "mart.Lead_State"), [row("a")], interval_end=NOW)
        assert set(state("MART.lead_state")) == {"a"}
    write_back(SqlTable("wh", '"Lead ""State"""'), [row("a")], interval_end=NOW)
    # Plain standard SQL is not quoted where the name is not.
    write_back(SqlTable("wh", '"order"' if warehouse == "plain" else "order"), [row("a")], interval_end=NOW)
    assert set(state('"Lead ""State"""')) == set(state('"order"')) == {"a"}


def test_a_table_without_the_interval_gets_it(warehouse: str) -> None:
    """People make the table from the five columns that they know; it has no key either, and other columns stay."""
    kind = "TEXT" if warehouse == "sqlite" else "TIMESTAMP"
    run(
        f"CREATE TABLE lead_state (owner TEXT, key TEXT, salesforce_id TEXT, action TEXT, stage TEXT, synced_at {kind})"
    )
    for _ in range(2):
        write_back(SqlTable("wh", "lead_state"), [row("a")], interval_end=NOW)
    with SqlExport("wh", "SELECT key, synced_at FROM lead_state").open() as stream:
        (found,) = list(stream.rows)
    assert str(dict(found)["synced_at"]).startswith("2026-01-10 02:03:04.000005")  # type: ignore[arg-type]


@pytest.mark.usefixtures("warehouse")
def test_a_table_that_lacks_columns_is_an_error_that_names_them() -> None:
    """It is some other table then."""
    run("CREATE TABLE lead_state (key VARCHAR(20), stage VARCHAR(20))")
    with pytest.raises(WriteBackError, match="lacks salesforce_id, action, synced_at, interval_end"):
        write_back(SqlTable("wh", "lead_state"), [row("a")], interval_end=NOW)


@pytest.mark.usefixtures("warehouse")
def test_all_or_nothing() -> None:
    """Rows that fail on the way leave the table as it was, and their own error is the one that is raised."""
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", "New")], interval_end=NOW)

    def broken() -> Iterator[State]:
        yield row("a", "MQL")
        yield from (row(f"k{number}") for number in range(6_000))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_back(target, broken(), interval_end=NOW)
    assert state() == {"a": ("00Q1", "updated", "New")}


@pytest.mark.usefixtures("warehouse")
def test_what_the_database_refuses_is_an_error_that_says_that_the_leads_are_synced() -> None:
    """And that a retry can mend; here the name is a view's."""
    columns = "'a' AS key, 'b' AS salesforce_id, 'c' AS action, 'd' AS stage, 'e' AS synced_at, 'f' AS interval_end"
    run(f"CREATE VIEW lead_state AS SELECT {columns} LIMIT 1")
    with pytest.raises(WriteBackError, match=r"lead_state.* at connection .wh. was not written back to; the leads"):
        write_back(SqlTable("wh", "lead_state"), [row("a")], interval_end=NOW)
    assert WriteBackError.transient


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize(
    "name", ["", "a b", "a.b.c.d", "a;DROP TABLE x", "a.", ".a", '"a', 'a"b"', "1a", "a--", "a.b;", '""', "a\n"]
)
def test_a_name_that_is_no_table_is_refused(name: str) -> None:
    """Before a connection is opened."""
    with pytest.raises(ParameterError, match="is no table name"):
        write_back(SqlTable("wh", name), [row("a")], interval_end=NOW)


def test_a_connection_that_is_no_database_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an export."""
    monkeypatch.setenv("AIRFLOW_CONN_FILES", json.dumps({"conn_type": "fs"}))
    with pytest.raises(ExportError, match="no SQL database"):
        write_back(SqlTable("files", "lead_state"), [row("a")], interval_end=NOW)


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_either_driver_copies_rows_as_they_are(postgres_url: str, driver: str, encoding: str) -> None:
    """Whatever CSV, or COPY, could take for something else; a null is no empty text."""
    database = f"copied_{driver}_{encoding.lower()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} ENCODING '{encoding}' TEMPLATE template0")
    texts = ["", "NULL", "\\N", "\\.", '"', "a,b", "line\nline\r\n", " é ", None, "#N/A"]
    hook: Any = SimpleNamespace(
        conn_type="postgres",
        placeholder="%s",
        supports_autocommit=False,
        get_conn=lambda: importlib.import_module(driver).connect(postgres_url, dbname=database),
    )
    times = [None if n % 3 else NOW for n in range(len(texts))]
    rows = pa.record_batch(
        [pa.array(texts, pa.string()), pa.array(times, pa.timestamp("us", tz="UTC")), pa.array(range(len(texts)))],
        names=["text", "time", "seq"],
    )
    with closing(warehouse_of(hook)) as warehouse:
        name = warehouse.temporary("copied", rows.schema)
        warehouse.append(name, rows)
        _, found = warehouse.select(f"SELECT text, time, seq FROM {name} ORDER BY seq")  # noqa: S608
    assert [tuple(each) for each in found] == list(zip(texts, times, range(len(texts)), strict=True))


def test_a_key_that_a_table_of_somebody_s_own_holds_twice_is_there_once_afterwards(warehouse: str) -> None:
    """It needs no primary key."""
    del warehouse
    write_back(SqlTable("wh", "made"), [row("a"), row("b", "New")], interval_end=NOW - DAY)
    run("CREATE TABLE lead_state AS SELECT * FROM made")
    run("INSERT INTO lead_state SELECT * FROM made WHERE key = 'a'")
    assert write_back(SqlTable("wh", "lead_state"), [row("a", "SQL"), row("c")], interval_end=NOW) == 2
    assert state() == {
        "a": ("00Q1", "updated", "SQL"), "b": ("00Q1", "updated", "New"), "c": ("00Q1", "updated", "MQL"),
    }  # fmt: skip


def test_ids_that_people_have_made_unique_may_go_from_key_to_key(warehouse: str) -> None:
    """Two leads whose keys were mixed up: neither id is there twice for a moment."""
    del warehouse
    target = SqlTable("wh", "lead_state")
    write_back(target, [row("a", salesforce_id="00Q1"), row("b", salesforce_id="00Q2")], interval_end=NOW - DAY)
    run("CREATE UNIQUE INDEX one_row_a_lead ON lead_state (salesforce_id)")
    rows = [row("a", salesforce_id="00Q2"), row("b", salesforce_id="00Q1"), row("c", salesforce_id="00Q3")]
    assert write_back(target, rows, interval_end=NOW) == 3
    assert {key: values[0] for key, values in state().items()} == {"a": "00Q2", "b": "00Q1", "c": "00Q3"}
    # To one that had none.
    write_back(target, [row("d", salesforce_id=None)], interval_end=NOW)
    rows = [row("d", salesforce_id="00Q3"), row("c", salesforce_id="00Q5")]
    assert write_back(target, rows, interval_end=NOW) == 2
    assert state()["d"][0] == "00Q3"
    # One after the other, the last of them to a lead that nobody had.
    rows = [row("a", salesforce_id="00Q1"), row("b", salesforce_id="00Q5"), row("c", salesforce_id="00Q4")]
    assert write_back(target, rows, interval_end=NOW + DAY) == 3
    assert {key: values[0] for key, values in state().items()} == {"a": "00Q1", "b": "00Q5", "c": "00Q4", "d": "00Q3"}


def test_a_key_that_such_a_table_holds_twice_is_there_once_also_where_its_lead_is_left_alone(warehouse: str) -> None:
    """And where a load tells of one key twice, the last of it counts, and it counts once."""
    del warehouse
    write_back(SqlTable("wh", "made"), [row("a"), row("b"), row("c")], interval_end=NOW - DAY)
    run("CREATE TABLE lead_state AS SELECT * FROM made")
    run("INSERT INTO lead_state SELECT * FROM made WHERE key = 'a'")
    left = [replace(row(key), action="unchanged", stage=None) for key in ("a", "b", "c")]
    assert write_back(SqlTable("wh", "lead_state"), [*left, row("c", "SQL")], interval_end=NOW) == 3
    assert state() == {
        "a": ("00Q1", "unchanged", "MQL"), "b": ("00Q1", "unchanged", "MQL"), "c": ("00Q1", "updated", "SQL"),
    }  # fmt: skip


def test_no_statement_takes_more_rows_than_databases_do() -> None:
    """Snowflake's driver makes one statement of all rows, and the database takes 16,384 of them."""
    sizes: list[int] = []
    cursor = SimpleNamespace(execute=print, executemany=lambda _sql, rows: sizes.append(len(rows)), close=lambda: None)
    connection = SimpleNamespace(cursor=lambda: cursor)
    hook: Any = SimpleNamespace(
        conn_type="snowflake", placeholder="%s", supports_autocommit=False, get_conn=lambda: connection
    )
    warehouse_of(hook).append("staged", pa.record_batch([pa.array(["x"] * 20_001)], names=["key"]))
    assert sum(sizes) == 20_001
    assert max(sizes) <= 10_000
