"""What differs between databases in the SQL of the write-back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_sfleads.exceptions import ParameterError

_PART = re.compile(r'(?P<plain>[^\W\d][\w$]*)|"(?P<quoted>(?:[^"\x00]|"")+)"')
_MOST_PARTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one database wants it.

    :param text: type of text columns.
    :param time: type of time columns.
    :param quotes: characters around an identifier.
    :param quotes_all: also quote plain names; where quoting a plain name would change its meaning, it is left plain.
    :param lower: letter case that plain names mean, where the database folds them to lower case.
    :param before: statements at the start of the transaction; ``{name}`` is the table's name as a SQL string.
    :param times_as: what times are bound as: ``aware`` or naive ``utc`` values, or sortable ``text``.
    """

    text: str = "VARCHAR(255)"
    time: str = "TIMESTAMP"
    quotes: tuple[str, str] = ('"', '"')
    quotes_all: bool = False
    lower: bool = False
    before: tuple[str, ...] = ()
    times_as: str = "utc"

    def identifier(self, name: str, *, exact: bool = False) -> str:
        """Return a name as SQL; ``exact`` for one that was given in quotes."""
        if not exact and not self.quotes_all:
            return name
        opening, closing = self.quotes
        name = name.lower() if self.lower and not exact else name
        return f"{opening}{name.replace(closing, closing * 2)}{closing}"

    def moment(self, value: datetime | None) -> datetime | str | None:
        """Return a time as it is bound; one without a zone is UTC."""
        if value is None:
            return None
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if self.times_as == "text":
            return value.isoformat(sep=" ", timespec="microseconds")
        return value if self.times_as == "aware" else value.replace(tzinfo=None)


_POSTGRES = Dialect(
    text="TEXT",
    time="TIMESTAMPTZ",
    quotes_all=True,
    lower=True,
    # Two syncs that write the same table take turns; also the making of the table cannot collide then.
    before=("SELECT pg_advisory_xact_lock(hashtext({name}))", "SET LOCAL TIME ZONE 'UTC'"),
    times_as="aware",
)
_DIALECTS = {
    "postgres": _POSTGRES,
    "duckdb": Dialect(
        text="VARCHAR", time="TIMESTAMPTZ", quotes_all=True, before=("SET TimeZone = 'UTC'",), times_as="aware"
    ),
    "sqlite": Dialect(text="TEXT", time="TEXT", quotes_all=True, times_as="text"),
    "mysql": Dialect(quotes=("`", "`"), quotes_all=True, time="DATETIME(6)"),
    "snowflake": Dialect(text="VARCHAR", time="TIMESTAMP_TZ", times_as="aware"),
}


def dialect_of(conn_type: str) -> Dialect:
    """Return the dialect of a connection type; plain standard SQL for one that is not known."""
    return _DIALECTS.get(conn_type, Dialect())


def table_sql(table: str, dialect: Dialect) -> str:
    """Return a table's name as SQL.

    Plain names mean what they mean in the database's own SQL; names in double quotes are taken exactly.

    :raises ParameterError: it is no table's name.
    """
    return ".".join(dialect.identifier(name, exact=exact) for name, exact in _parts(table))


def _parts(table: str) -> Sequence[tuple[str, bool]]:
    parts: list[tuple[str, bool]] = []
    at = 0
    while match := _PART.match(table, at):
        quoted = match["quoted"]
        parts.append((match["plain"], False) if quoted is None else (quoted.replace('""', '"'), True))
        at = match.end()
        if at == len(table) and len(parts) <= _MOST_PARTS:
            return parts
        if table[at : at + 1] != ".":
            break
        at += 1
    raise ParameterError(
        f"{table!r} is no table name. Write table or schema.table, in letters, digits and _ (or in double quotes)."
    )
