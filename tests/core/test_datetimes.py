"""Which texts are dates, date-times and times of day, and what they mean."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sfleads.core.text import parse_datetime, parse_time

DAYS = {
    "2026-03-05": "2026-03-05T00:00:00",
    "20260305": "2026-03-05T00:00:00",
    "2026-W10-4": "2026-03-05T00:00:00",
    "2026-03-05 10:00": "2026-03-05T10:00:00",
    "2026-03-05T10:00:01,5": "2026-03-05T10:00:01.500000",
    "20260305T100001Z": "2026-03-05T10:00:01+00:00",
    "2026-03-05t10:00:00z": "2026-03-05T10:00:00+00:00",
    "2026-03-05 10:00:00.000 -0800": "2026-03-05T10:00:00-08:00",  # Snowflake
    "2026-03-05 10:00:00.000 Z": "2026-03-05T10:00:00+00:00",
    "2026-03-05 10:00:00.123456789 +0530": "2026-03-05T10:00:00.123456+05:30",
    "2026-03-05 10:00:00 UTC": "2026-03-05T10:00:00+00:00",  # BigQuery
    "2026-03-05 10:00:00.123456 UTC": "2026-03-05T10:00:00.123456+00:00",
    "2026-03-05 10:00:00.123456789012 UTC": "2026-03-05T10:00:00.123456+00:00",  # Trino
    "2026-03-05 10:00:00.5+00": "2026-03-05T10:00:00.500000+00:00",  # PostgreSQL
    "1890-01-01 00:00:00+00:53:28": "1890-01-01T00:00:00+00:53:28",
    "2026-03-05 10:00:00+02": "2026-03-05T10:00:00+02:00",  # DuckDB
    "2026-03-05 10:00:00.1234567 +02:00": "2026-03-05T10:00:00.123456+02:00",  # SQL Server
    "2026-03-05T10:00:00.000+01:00[Europe/Paris]": "2026-03-05T10:00:00+01:00",  # Java
}


@pytest.mark.parametrize(("text", "meaning"), DAYS.items(), ids=DAYS)
def test_dates_and_date_times(text: str, meaning: str) -> None:
    """ISO 8601, and what warehouses write."""
    found = parse_datetime(text)
    assert found is not None
    assert found.isoformat() == meaning


NO_DAYS = [
    "1712031500000", "17120315000", "1712031500", "1712031500000000", "2026030510", "20260305100000", "20260305 100000",
    "2026-03-05+02:00", "2026-03-05-05:00", "2026-03-05Z", "2026-03-05 Z", "2026-03-05 UTC", "20260305+0200",
    "2026-03-05_10:00:00", "2026-03-05x10:00", "2026-03-05  10:00", "2026-03-05T 10:00", "2026-03-05\u00a010:00",
    "2026-03-05 10", "2026-03-05T10Z", "2026-03-05T100000", "2026-03-05 10:00:00.", "2026-03-05 10:00:00123",
    "2026-03-05 10:00:00.1234567890123", "2026-03-05 10:00:00Europe/Berlin", "2026-03-05 10:00:00.000 Europe/Berlin",
    "2026-03-05 10:00:00 CET", "2026-03-05 10:00:00  UTC", "2026-03-05 10:00:00 utc", "2026-03-05 10:00:00[UTC]",
    "2026-03-05 10:00:00+16:00", "2026-03-05 10:00:00+2", "2026-03-05 10:00:00+02:75", "2026-03-05T10:00:00-2026",
    "2026-03-05 24:00:00", "2026-03-05 23:59:60", "2026-02-29", "2026-13-01", "20261301", "2026-W54-1", "2026-W10",
    "2026W104", "2026-064", "2026-03", "2026", "0000-01-01", "0000-00-00", "0000-00-00 00:00:00", "20000-01-01",
    "+2026-03-05", "0044-03-15 BC", "0044-03-15 00:00:00+00 BC", "infinity", "-infinity", "", "now",
    "\u0662\u0660\u0662\u0666-03-05",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_DAYS)
def test_what_is_no_date(text: str) -> None:
    """Epochs, ids, a zone without a time, separators that are none, and dates beyond the calendar."""
    assert parse_datetime(text) is None


OFFSETS = st.integers(-15 * 60 - 59, 15 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=st.none() | OFFSETS)


@given(MOMENTS, st.sampled_from("T t"), st.sampled_from(["", " "]), st.sampled_from(["", ":"]), st.integers(0, 6))
def test_every_date_time_is_read_as_it_was_written(
    moment: datetime, separator: str, blank: str, colon: str, more: int
) -> None:
    """With any of the separators, digits beyond microseconds, and either spelling of the offset."""
    offset = moment.strftime("%z")
    zone = f"{blank}{offset[:3]}{colon}{offset[3:]}" if offset else ""
    written = moment.replace(tzinfo=None).isoformat(separator, "microseconds")
    found = parse_datetime(f"{written}{'9' * more}{zone}")
    assert found == moment
    assert found.utcoffset() == moment.utcoffset()


@given(MOMENTS | st.dates())
def test_the_text_of_every_date_is_one(value: datetime | date) -> None:
    """As Python writes it, and so as rejects hold it."""
    found = parse_datetime(value.isoformat())
    assert found is not None
    assert found == value if isinstance(value, datetime) else found.date() == value


@given(st.integers(0, 10**20).map(str).filter(lambda digits: len(digits) != 8))
def test_no_run_of_digits_is_a_date(digits: str) -> None:
    """But eight, which are one's basic form: no epoch that anybody exports has so few."""
    assert parse_datetime(digits) is None


@given(
    st.text(st.sampled_from("0123456789-:T. Z+W"), max_size=30)
    | MOMENTS.map(str).flatmap(
        lambda text: st.builds(
            lambda at, put: text[:at] + put + text[at + 1 :], st.integers(0, 30), st.text(max_size=2)
        )
    )
)
def test_what_is_read_is_iso_8601_to_python(text: str) -> None:
    """No text is a date here that is none there, or another one, but for a blank before the zone and UTC for Z."""
    found = parse_datetime(text)
    if found is not None:
        plain = text.upper().replace(" UTC", "Z").replace("UTC", "Z").partition("[")[0]
        assert found == datetime.fromisoformat(plain[:11] + plain[11:].replace(" ", ""))


@pytest.mark.parametrize(
    ("text", "meaning"),
    {
        "9:00:00": time(9), "09:00": time(9), "T09:00": time(9), "23:59:59.9999999": time(23, 59, 59, 999_999),
        "09:00:00.5 UTC": time(9, microsecond=500_000, tzinfo=UTC), "9:00:00Z": time(9, tzinfo=UTC),
        "09:00:00+05:30": time(9, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        **dict.fromkeys(["12", "0900", "090000", "090000.5", "930", "9", "9:5", "24:00", "9:60", "9 AM", ""]),
        **dict.fromkeys(["24:00:00", "9:00 AM", "1 day, 9:00:00", "09:00 CET", "2026-03-05T09:00", "99:00", "-9:00"]),
    }.items(),
)  # fmt: skip
def test_times_of_day(text: str, meaning: time | None) -> None:
    """Digits alone are none: 12 is a number, and 0900 may be one."""
    assert parse_time(text) == meaning
