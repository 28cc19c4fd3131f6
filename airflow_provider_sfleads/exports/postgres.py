"""Cursors of PostgreSQL's drivers, psycopg and psycopg2, that also read dates and times which Python does not have.

PostgreSQL knows ``infinity``, years before Christ and beyond 9999, and 24:00 (PostgreSQL documentation, "Date/Time
Types"). psycopg raises on them, which ends the whole read, also where nobody wants their column; psycopg2 raises on
some and takes the last day of 9999 for ``infinity``. Here each such value is its text, and costs at most its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer
    from psycopg.adapt import Loader

    from airflow_provider_sfleads.exports.connections import DbApiConnection

DbApiCursor: TypeAlias = Any
_Cast: TypeAlias = Callable[[str | None, DbApiCursor], object]

# Types with their OIDs and their arrays' (PostgreSQL's catalog pg_type).
_TYPES = {
    "date": (1082, 1182),
    "timestamp": (1114, 1115),
    "timestamptz": (1184, 1185),
    "time": (1083, 1183),
    "timetz": (1266, 1270),
    "interval": (1186, 1187),
}
# Of these a driver makes another value: psycopg2 the end of the calendar, or 00:00 of 24:00; psycopg a span of nothing,
# and one of minus a million years.
_ENDLESS = frozenset({"infinity", "-infinity"})
_MIDNIGHT = "24:"
_ODD_INTERVAL = re.compile(rb"-?(infinity|[0-9]{7,} year)")


def is_postgres(value: object) -> bool:
    """Say whether a connection or cursor is psycopg's or psycopg2's.

    The driver decides, not the connection type: Redshift has a Postgres-like type and another driver.
    """
    return _driver(value) in {"psycopg", "psycopg2"}


def server_cursor(connection: DbApiConnection, fetch_size: int) -> DbApiCursor:
    """Return a cursor whose result stays in the server, and whose rows are tuples.

    A plain cursor of either driver fetches everything at ``execute``.

    :param fetch_size: rows a round trip.
    """
    name = f"sfleads_{uuid4().hex}"
    cursor = _psycopg2_cursor(connection, name) if _driver(connection) == "psycopg2" else _cursor(connection, name)
    cursor.itersize = fetch_size
    return cursor


def _driver(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _cursor(connection: DbApiConnection, name: str) -> DbApiCursor:
    from psycopg.pq import Format
    from psycopg.rows import tuple_row

    # Airflow's connection extra `cursor` may ask for rows as dicts.
    cursor = connection.cursor(name=name, row_factory=tuple_row)
    for kind, (oid, _) in _TYPES.items():
        odd = _ODD_INTERVAL if kind == "interval" else None
        cursor.adapters.register_loader(oid, _or_text(cursor.adapters.get_loader(oid, Format.TEXT), odd))
    return cursor


def _or_text(known: type[Loader], odd: re.Pattern[bytes] | None) -> type[Loader]:
    """Return a loader that gives the text of what a known one cannot load, or takes for something else."""
    from psycopg.adapt import Loader

    class OrText(Loader):
        # No subclass of the known one: where that is written in C, its own C method would be called instead.
        def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
            super().__init__(oid, context)
            self._load = known(oid, context).load

        def load(self, data: Buffer) -> object:
            if odd is not None and odd.match(data):
                return bytes(data).decode()
            try:
                return self._load(data)
            except Exception:  # noqa: BLE001 - the driver's own errors, and Python's
                return bytes(data).decode()

    return OrText


def _psycopg2_cursor(connection: DbApiConnection, name: str) -> DbApiCursor:
    from psycopg2 import extensions  # type: ignore[import-untyped]

    cursor = connection.cursor(name, cursor_factory=extensions.cursor)
    known = {**extensions.string_types, **connection.string_types}
    for kind, (oid, array) in _TYPES.items():
        one = extensions.new_type((oid,), kind, _cast_or_text(known[oid], is_time=kind in ("time", "timetz")))
        extensions.register_type(one, cursor)
        extensions.register_type(extensions.new_array_type((array,), f"{kind}[]", one), cursor)
    return cursor


def _cast_or_text(known: _Cast, *, is_time: bool) -> _Cast:
    """Return a typecaster that gives the text of what a known one cannot cast, or takes for something else."""

    def cast(text: str | None, cursor: DbApiCursor) -> object:
        if text is None or text in _ENDLESS or (is_time and text.startswith(_MIDNIGHT)):
            return text
        try:
            return known(text, cursor)
        except Exception:  # noqa: BLE001 - the driver's own errors, and Python's
            return text

    return cast
