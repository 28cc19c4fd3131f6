"""The table that a sync may write its outcome back to."""

from __future__ import annotations

from typing import ClassVar

from airflow_provider_sfleads.exports.templated import Templated


class SqlTable(Templated):
    """A table at an Airflow SQL connection.

    :param conn_id: connection of a warehouse (any ``DbApiHook``).
    :param table: ``table`` or ``schema.table``; made if it is missing.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("conn_id", "table")
    _fields: ClassVar[tuple[str, ...]] = ("conn_id", "table")

    def __init__(self, conn_id: str, table: str) -> None:
        self.conn_id = conn_id
        self.table = table
