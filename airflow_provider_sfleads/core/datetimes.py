"""Read dates, date-times and times of day from text.

What is taken: ISO 8601 (https://www.rfc-editor.org/rfc/rfc3339), and the forms in which warehouses write such values
into files: Snowflake's ``2026-03-05 10:00:00.000 -0800``, BigQuery's and Trino's ``2026-03-05 10:00:00.123 UTC``,
PostgreSQL's and DuckDB's ``2026-03-05 10:00:00.5+00``, SQL Server's ``2026-03-05 10:00:00.1234567 +02:00``, and Java's
``2026-03-05T10:00:00+01:00[Europe/Paris]``. ``datetime.fromisoformat`` alone takes more than dates: any character may
stand for its ``T``, so that it finds a date in eleven digits of an id, in an epoch's milliseconds, and in the offset
of ``2026-03-05+02:00`` an hour.
"""

from __future__ import annotations

import re
from datetime import datetime, time

# Eight digits are a date's basic form; seconds since 1970 have nine or ten, milliseconds twelve or thirteen.
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}|[0-9]{4}-W[0-9]{2}-[0-9]"
_HOUR, _SIXTIETH, _FRACTION = r"(?:[01][0-9]|2[0-3])", r"[0-5][0-9]", r"(?:[.,][0-9]{1,12})"
_MINUTES = rf":{_SIXTIETH}(?::{_SIXTIETH}{_FRACTION}?)?"
_BASIC_CLOCK = rf"{_HOUR}{_SIXTIETH}(?:{_SIXTIETH}{_FRACTION}?)?"
# No zone of the tz database was ever farther from UTC.
_OFFSET = rf"[+-](?:0[0-9]|1[0-5])(?:{_SIXTIETH}|:{_SIXTIETH}(?::{_SIXTIETH})?)?"
_ZONE = rf" ?(?P<zone>[Zz]|UTC|{_OFFSET})"
# The name of a zone says nothing that the offset before it does not (https://www.rfc-editor.org/rfc/rfc9557).
_ZONE_NAME = r"(?:\[[A-Za-z0-9_+/-]+\])?"
_DATETIME = re.compile(
    rf"(?P<date>{_DATE})"
    rf"(?:(?:[Tt ](?P<clock>{_HOUR}{_MINUTES})|(?<=[0-9]{{8}})T(?P<basic>{_BASIC_CLOCK}))(?:{_ZONE}{_ZONE_NAME})?)?"
)
# Drivers write 9:00:00, which ISO 8601 does not know.
_TIME = re.compile(rf"[Tt]?(?P<clock>(?:[0-9]|{_HOUR}){_MINUTES})(?:{_ZONE})?")


def parse_datetime(text: str) -> datetime | None:
    """Read a date, which stands for its midnight, or a date-time; with the zone that is written, if one is.

    :param text: without blanks around it.
    :return: ``None`` where it is none of the forms above, or names no day of the calendar.
    """
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    clock = found["clock"] or found["basic"] or "00:00"
    try:
        return datetime.fromisoformat(f"{found['date']}T{clock}{_zone(found['zone'])}")
    except ValueError:
        return None


def parse_time(text: str) -> time | None:
    """Read a time of day, from 0:00 to 23:59:59.999999, with the zone that is written, if one is.

    :param text: without blanks around it.
    :return: ``None`` where it is none; a run of digits is none, for it may be a number of anything.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, _, rest = found["clock"].partition(":")
    return time.fromisoformat(f"{hour:0>2}:{rest}{_zone(found['zone'])}")


def _zone(written: str | None) -> str:
    return "Z" if written in ("z", "UTC") else written or ""
