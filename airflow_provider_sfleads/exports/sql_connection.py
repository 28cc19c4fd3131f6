"""Open Airflow's SQL connections, with errors that say what to mend; and the table that a sync writes back to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports.templated import Templated

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

#: What ``get_conn`` of a hook returns: PEP 249 describes it, but drivers share no type.
DbApiConnection: TypeAlias = Any

_SHORTEST_HIDDEN = 4  # hiding "1" or "a" would garble every message and protect nothing
# Where drivers repeat the value that they cannot take: values are personal data, names of tables and columns are not.
_VALUES = (
    re.compile(r"(')(?:[^']|'')*(')"),
    re.compile(r'(invalid input (?:syntax|value)[^"]*")[^"]*(")', re.IGNORECASE),
    re.compile(r"(\)=\()[^)]*(\))"),
)


class SqlTable(Templated):
    """A table at an Airflow SQL connection.

    :param conn_id: connection of a warehouse (any ``DbApiHook``).
    :param table: ``table`` or ``schema.table``; made if it is missing.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("conn_id", "table")

    def __init__(self, conn_id: str, table: str) -> None:
        self.conn_id = conn_id
        self.table = table


def sql_hook(conn_id: str) -> DbApiHook:
    """Return the ``DbApiHook`` of a connection.

    :raises ExportError: there is no such connection, no installed provider serves its type, or it is no database.
    """
    from airflow.providers.common.compat.sdk import AirflowException, BaseHook

    try:
        connection = BaseHook.get_connection(conn_id)
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except (AirflowException, ImportError) as problem:
        raise ExportError(
            f"Connection {conn_id!r} cannot be used: {problem}. "
            "Define it in Airflow, and install the Airflow provider of its connection type."
        ) from None
    with suppress(ImportError):
        from airflow.providers.common.sql.hooks.sql import DbApiHook

        if isinstance(hook, DbApiHook):
            return hook
    raise ExportError(
        f"Connection {conn_id!r} is of type {connection.conn_type!r} ({type(hook).__name__}), which is no SQL "
        "database. Use a connection whose hook is a DbApiHook (Postgres, Snowflake, BigQuery, DuckDB, SQLite ...)."
    )


def reading_connection(hook: DbApiHook) -> DbApiConnection:
    """Open a connection to read from.

    A DuckDB file is opened read-only: a read-write connection locks the file against every other process, and
    opening a file that is not there would make an empty one instead of failing. In-memory and MotherDuck databases
    know no such mode; a connection extra ``read_only`` is left to its owner.

    :raises ExportError: there is no DuckDB file.
    """
    if hook.conn_type != "duckdb" or "read_only" in hook.connection_extra:
        return hook.get_conn()
    database = hook.get_database()
    if database.startswith((":memory:", "md:")):
        return hook.get_conn()
    if not Path(database).exists():
        raise ExportError(f"There is no DuckDB database at {database}, where connection {hook.get_conn_id()!r} points.")
    import duckdb

    arguments: dict[str, Any] = {hook.conn_name_attr: hook.get_conn_id(), "read_only": True}
    try:
        return type(hook)(**arguments).get_conn()
    except duckdb.ConnectionException as problem:
        # One process cannot hold the same file both ways; where the caller holds it read-write already, share that.
        if "different configuration" not in str(problem):
            raise
        return hook.get_conn()


def driver_message(problem: BaseException, *, hook: DbApiHook | None = None, parameters: object = None) -> str:
    """Return what the driver said, without values of query parameters and without the connection's password."""
    text = str(problem).strip() or type(problem).__name__
    hidden = set(_texts(parameters))
    if hook is not None:
        with suppress(Exception):  # a message must come out whatever the secrets backend does now
            hidden.update(_texts(hook.get_connection(hook.get_conn_id()).password))
    for value in sorted(hidden, key=len, reverse=True):
        text = text.replace(value, "***")
    for pattern in _VALUES:
        text = pattern.sub(r"\1***\2", text)
    return f"{type(problem).__name__}: {text}"


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    for item in value if isinstance(value, (list, tuple, set)) else (value,):
        if item is not None and len(str(item)) >= _SHORTEST_HIDDEN:
            yield str(item)
