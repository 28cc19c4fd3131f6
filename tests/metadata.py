"""Databases for the metadata of real Airflows: one is migrated, the others are copies of it."""

from __future__ import annotations

import hashlib
import secrets
import subprocess
import sys
from collections.abc import Mapping

import psycopg
from psycopg.sql import SQL, Identifier

_URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
#: Settings that tell which tables there are.
_TABLES = ("AIRFLOW__CORE__AUTH_MANAGER", "AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS")


def metadata_database(postgres_url: str, env: Mapping[str, str]) -> dict[str, str]:
    """Make a database that Airflow can begin with; the setting that leads to it.

    :param postgres_url: a server, on which the migrated one stays to be copied.
    :param env: the environment of the Airflow.
    """
    tables = "\n".join(env.get(name, "") for name in _TABLES)
    template = f"airflow_template_{hashlib.sha256(tables.encode()).hexdigest()[:8]}"
    name = f"airflow_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [template]).rowcount:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            migration = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(migration, env={**env, **_setting(postgres_url, name)}, check=True, capture_output=True)
            connection.execute(SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(template)))
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
    return _setting(postgres_url, name)


def _setting(postgres_url: str, name: str) -> dict[str, str]:
    server = postgres_url.rpartition("/")[0].replace("postgresql:", "postgresql+psycopg2:")
    return {_URL: f"{server}/{name}"}
