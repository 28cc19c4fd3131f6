"""A database of which Airflow has a hook, and the write-back knows nothing beyond that: standard SQL has to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from airflow.providers.common.sql.hooks.sql import DbApiHook

if TYPE_CHECKING:
    import pytest


class PlainHook(DbApiHook):
    """PostgreSQL under another name."""

    conn_name_attr = "plain_conn_id"
    default_conn_name = "plain_default"
    conn_type = "plain"
    hook_name = "Plain SQL"
    supports_autocommit = True

    def get_conn(self) -> Any:  # noqa: ANN401 - a driver's own
        """Connect."""
        found = self.get_connection(self.get_conn_id())
        return psycopg.connect(host=found.host, port=found.port, user=found.login, dbname=found.schema)

    def set_autocommit(self, conn: Any, autocommit: bool) -> None:  # noqa: ANN401, FBT001 - as the base has it
        """Switch it."""
        conn.autocommit = autocommit


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Airflow know the hook, as the provider of some other database would."""
    from airflow.sdk._shared.providers_discovery.providers_discovery import HookInfo
    from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

    known = HookInfo(
        hook_class_name=f"{__name__}.PlainHook",
        connection_id_attribute_name=PlainHook.conn_name_attr,
        package_name="plain",
        hook_name=PlainHook.hook_name,
        connection_type=PlainHook.conn_type,
        connection_testable=False,
    )
    monkeypatch.setitem(ProvidersManagerTaskRuntime().hooks, PlainHook.conn_type, known)  # type: ignore[no-untyped-call]
