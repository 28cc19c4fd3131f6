"""What OpenLineage calls the things that a sync reads and writes; no name or namespace holds credentials.

Loaded only where the OpenLineage provider asks.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import output_statistics_output_dataset

from airflow_provider_sfleads.exports import FileExport, SqlExport

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook
    from airflow.providers.openlineage.sqlparser import DatabaseInfo

    from airflow_provider_sfleads.exports import SqlTable

log = logging.getLogger(__name__)

_Name = tuple[str, str]  # namespace and name

# As OpenLineage's naming has them.
_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}
# Placeholders of psycopg, which the parser takes for an error; what stands in strings does not matter to it.
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sbt]")


def inputs_of(export: object, rows: int | None = None) -> list[InputDataset]:
    """Return what an export reads; nothing where that cannot be told.

    :param rows: how many rows were read. Where several tables are joined, nobody knows how many came of which.
    """
    if isinstance(export, FileExport):
        found = [_file(export.path)]
    elif isinstance(export, SqlExport):
        found = [InputDataset(namespace, name) for namespace, name in _tables(export.conn_id, export.sql)]
    else:
        return []
    if rows is not None and len(found) == 1:
        found[0].inputFacets = _rows_read(rows)
    return found


def leads_at(host: str, rows: int | None = None) -> OutputDataset:
    """Return an org's leads.

    :param rows: how many were created and updated.
    """
    return _output(f"salesforce://{host}", "Lead", rows)


def written_back_to(table: SqlTable, rows: int | None = None) -> list[OutputDataset]:
    """Return the table of a write-back, by the name that an export which reads it has; nothing where none is known.

    :param rows: how many of its rows were written.
    """
    sql = f"SELECT * FROM {table.table}"  # noqa: S608 - parsed, never run
    return [_output(namespace, name, rows) for namespace, name in _tables(table.conn_id, sql)]


def _output(namespace: str, name: str, rows: int | None) -> OutputDataset:
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows)
    return OutputDataset(
        namespace=namespace, name=name, outputFacets={} if rows is None else {"outputStatistics": statistics}
    )


def _rows_read(rows: int) -> dict[str, Any]:
    with suppress(ImportError):  # older clients know no such facet
        from openlineage.client.facet_v2 import input_statistics_input_dataset

        return {"inputStatistics": input_statistics_input_dataset.InputStatisticsInputDatasetFacet(rowCount=rows)}
    return {}


def _file(path: str) -> InputDataset:
    """Return a file or a folder; of a glob, the folder in which it begins to vary."""
    parts = urlsplit(path)
    plain = path.removeprefix("file://") if parts.scheme in ("", "file") else parts.path
    if parts.query or any(mark in plain for mark in "*?["):
        plain = re.split(r"[*?\[]", plain)[0].rpartition("/")[0]
    if parts.scheme in ("", "file"):
        return InputDataset(namespace="file", name=str(Path(plain or "/").absolute()))
    # What stands before an @ is a connection's id for Airflow, and may be anything for others.
    place = parts.netloc.rpartition("@")[2]
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    return InputDataset(namespace=f"{scheme}://{place}", name=plain.strip("/") or "/")


def _tables(conn_id: str, sql: str) -> list[_Name]:
    """Tables that a SELECT reads; lineage is never worth an error, so that none is a warning and an empty list."""
    from airflow_provider_sfleads.exports.sql_connection import driver_message, sql_hook

    try:
        return _parsed(sql_hook(conn_id), conn_id, sql)
    except Exception as problem:  # noqa: BLE001 - hooks and their drivers may raise anything
        log.warning("The tables at connection %r are not in the lineage: %s", conn_id, driver_message(problem))
        return []


def _parsed(hook: DbApiHook, conn_id: str, sql: str) -> list[_Name]:
    from airflow.providers.openlineage.sqlparser import SQLParser

    connection = hook.get_connection(conn_id)
    info = hook.get_openlineage_database_info(connection)
    if info is not None:
        schema = hook.get_openlineage_default_schema()
    else:
        info, schema = _file_database(hook, connection), "main"
    if info is None:
        return []
    # Told of a default schema, the parser loses what a WITH reads.
    parser = SQLParser(dialect=hook.get_openlineage_database_dialect(connection))
    plain = _PLACEHOLDER.sub("NULL", sql)
    result = parser.parse(parser.split_sql_string(plain))
    tables = [table for table in result.in_tables if _is_table(table.name, plain)] if result else []
    names = (_full_name(table.database or info.database, table.schema or schema, table.name) for table in tables)
    namespace = parser.create_namespace(info)
    return [(namespace, name.upper() if info.is_uppercase_names else name) for name in dict.fromkeys(names)]


def _full_name(*parts: str | None) -> str:
    return ".".join(filter(None, parts))


def _is_table(name: str, sql: str) -> bool:
    """Return whether a name is that of a table.

    The parser also takes functions (``read_csv``) and DuckDB's files for one.
    """
    return "/" not in name and not re.search(rf"\b{re.escape(name)}\s*\(", sql, re.IGNORECASE)


def _file_database(hook: DbApiHook, connection: Any) -> DatabaseInfo | None:  # noqa: ANN401 - of several classes
    """Return a database that is a file, whose hook has no name for it; dbt calls DuckDB's so."""
    from airflow.providers.openlineage.sqlparser import DatabaseInfo

    place = {"duckdb": getattr(hook, "get_database", str), "sqlite": lambda: connection.host}.get(hook.conn_type, str)()
    # What follows are options, of MotherDuck a token among them.
    path = (place or "").partition("?")[0]
    if not path or path.startswith(":memory:"):
        return None
    return DatabaseInfo(scheme=hook.conn_type, authority=path if path.startswith("md:") else str(Path(path).absolute()))
