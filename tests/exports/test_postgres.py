# ruff: noqa: DTZ001 - without a zone is what is tried
"""Dates and times of PostgreSQL that Python does not have, through both of its drivers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import SqlExport
from airflow_provider_sfleads.exports.sql_export import UnreadableError, cursor_batches

Read = Callable[..., list[tuple[object, ...]]]


@pytest.fixture(params=[psycopg, psycopg2], ids=["psycopg", "psycopg2"])
def read(request: pytest.FixtureRequest, postgres_url: str) -> Read:
    """Reads the rows of a query through one of the drivers."""

    def rows(sql: str, fetch_size: int = 2, *settings: str) -> list[tuple[object, ...]]:
        with closing(request.param.connect(postgres_url)) as connection:
            for setting in settings:
                connection.cursor().execute(setting)
            with cursor_batches(connection, sql, None, fetch_size) as (_, batches):
                return [tuple(row) for batch in batches for row in batch]

    return rows


BEYOND = {
    "date 'infinity'": "infinity",
    "date '-infinity'": "-infinity",
    "date '0044-03-15 BC'": "0044-03-15 BC",
    "date '20000-01-01'": "20000-01-01",
    "timestamp 'infinity'": "infinity",
    "timestamp '0044-03-15 BC'": "0044-03-15 00:00:00 BC",
    "timestamp '20000-01-01 10:00'": "20000-01-01 10:00:00",
    "timestamptz '-infinity'": "-infinity",
    "timestamptz '0044-03-15 00:00+00 BC'": "0044-03-15 00:00:00+00 BC",
    "timestamptz '9999-12-31 23:59:59-12'": "10000-01-01 11:59:59+00",
    "timestamptz '0001-01-01 00:00+14'": "0001-12-31 10:00:00+00 BC",
    "time '24:00:00'": "24:00:00",
    "timetz '24:00:00+02'": "24:00:00+02",
    "interval '9999999 years'": "9999999 years",
    "interval '-9999999 years'": "-9999999 years",
    "interval '2147483647 days'": "2147483647 days",
    "ARRAY[date 'infinity', NULL, date '2026-03-05']": ["infinity", None, date(2026, 3, 5)],
    "ARRAY[timestamptz '20000-01-01 00:00+00']": ["20000-01-01 00:00:00+00"],
    "ARRAY[timestamp '0044-03-15 BC']": ["0044-03-15 00:00:00 BC"],
    "ARRAY[time '24:00:00', time '09:00']": ["24:00:00", time(9)],
    "ARRAY[interval '9999999 years', interval '1 day']": ["9999999 years", timedelta(1)],
}
UTC = "SET timezone TO 'UTC'"


@pytest.mark.parametrize(("sql", "text"), BEYOND.items(), ids=BEYOND)
def test_what_python_does_not_have_is_its_text(read: Read, sql: str, text: object) -> None:
    """Also what a driver takes for something else: the last day of 9999, midnight, an age before our time."""
    assert read(f"SELECT {sql}", 2, UTC) == [(text,)]


@pytest.mark.parametrize(
    "sql", ["daterange('2026-03-05', 'infinity')", "tstzrange('20000-01-01', NULL)", "daterange('20000-01-01', NULL)"]
)
def test_a_range_without_an_end_that_python_has_ends_with_its_text(read: Read, sql: str) -> None:
    """The driver's own range, with a text for one of its bounds."""
    ((found,),) = read(f"SELECT {sql}")
    assert any(isinstance(bound, str) for bound in (getattr(found, "lower"), getattr(found, "upper")))  # noqa: B009


WITHIN = {
    "date '2026-03-05'": date(2026, 3, 5),
    "date '9999-12-31'": date.max,
    "timestamp '2026-03-05 10:00:00.5'": datetime(2026, 3, 5, 10, 0, 0, 500_000),
    "timestamptz '2026-03-05 10:00+02'": datetime.fromisoformat("2026-03-05T08:00:00+00:00"),
    "time '23:59:59'": time(23, 59, 59),
    "interval '24:00:00'": timedelta(1),
    "interval '999999 years'": timedelta(999_999 * 365),
    "ARRAY[date '2026-03-05', NULL]": [date(2026, 3, 5), None],
    "NULL::date": None,
}


@pytest.mark.parametrize(("sql", "value"), WITHIN.items(), ids=WITHIN)
def test_what_python_has_is_its_own_value(read: Read, sql: str, value: object) -> None:
    """As the driver gives it by itself."""
    ((found,),) = read(f"SELECT {sql}", 2, UTC)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("fetch_size", [1, 2, 4, 5, 6, 100])
def test_it_ends_nothing_wherever_it_stands(read: Read, fetch_size: int) -> None:
    """In the first batch or in a later one."""
    sql = "SELECT i, CASE i WHEN 5 THEN date 'infinity' ELSE date '2026-03-05' END FROM generate_series(1, 6) i"
    assert read(sql, fetch_size) == [(i, "infinity" if i == 5 else date(2026, 3, 5)) for i in range(1, 7)]


def test_a_style_of_dates_that_the_driver_cannot_read_is_text(read: Read) -> None:
    """With psycopg, which reads zoned timestamps in ISO style only."""
    ((found,),) = read("SELECT timestamptz '2026-03-05 10:00+00'", 2, "SET datestyle TO 'German'", UTC)
    assert found == "05.03.2026 10:00:00 UTC" or isinstance(found, datetime)


@pytest.mark.parametrize("kind", ["dictcursor", "namedtuplecursor"])
def test_rows_are_rows_whatever_cursor_the_connection_asks_for(
    kind: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a row that is a dict, its names would be taken for its values."""
    url = urlsplit(postgres_url)
    connection = {"conn_type": "postgres", "host": url.hostname, "port": url.port, "login": url.username,
                  "schema": "postgres", "extra": {"cursor": kind}}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_PG", json.dumps(connection))
    with SqlExport("pg", "SELECT 1 AS id, 'Ray' AS last").open() as stream:
        assert list(stream.rows) == [{"id": 1, "last": "Ray"}]


class Cursor:
    """A driver's cursor that cannot make a value of what its second batch holds."""

    description = (("id",),)
    arraysize = 1

    def __init__(self, problem: Exception) -> None:
        self.batches: Iterator[Any] = iter([[(1,)], problem])

    def execute(self, sql: str) -> None:
        """Do nothing."""

    def fetchmany(self, _size: int) -> list[tuple[int]]:
        """Give the next batch, or raise."""
        found = next(self.batches)
        if isinstance(found, Exception):
            raise found
        rows: list[tuple[int]] = found
        return rows

    def close(self) -> None:
        """Do nothing."""

    def cursor(self) -> Cursor:
        """Be a connection as well."""
        return self


@pytest.mark.parametrize(
    ("problem", "is_of_values"),
    [
        (ValueError("year 20000 is out of range"), True),
        (OverflowError("date value out of range"), True),
        (psycopg.DataError("date too large"), True),
        (psycopg2.DataError("of psycopg2"), True),
        (json.JSONDecodeError("Expecting value", "<html>", 0), False),
        (ConnectionResetError("reset by peer"), False),
        (psycopg.OperationalError("server closed the connection"), False),
    ],
    ids=repr,
)
def test_a_driver_that_cannot_read_a_value_is_told_from_one_that_lost_its_server(
    problem: Exception, is_of_values: bool  # noqa: FBT001 - a case
) -> None:  # fmt: skip
    """A retry mends the latter only."""
    with cursor_batches(Cursor(problem), "SELECT 1 AS id", None, 1) as (_, batches):
        assert next(batches) == [(1,)]
        with pytest.raises(UnreadableError if is_of_values else type(problem)):
            next(batches)


@pytest.mark.parametrize("fetch_size", [1, 100])
def test_a_value_that_no_try_could_read_fails_without_retry_and_says_what_to_do(
    fetch_size: int, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a query that is refused nor a warehouse that is down, in the first batch or after it."""
    monkeypatch.setenv("AIRFLOW_CONN_PG", postgres_url)
    export = SqlExport("pg", "SELECT 6 / (3 - n) AS id FROM generate_series(1, 3) n", fetch_size=fetch_size)
    words = "failed while the rows were read: DivisionByZero.* Leave that column out, or CAST it to text"
    with pytest.raises(ExportError, match=words) as caught, export.open() as stream:
        list(stream.rows)
    assert not caught.value.transient
