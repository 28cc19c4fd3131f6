"""The surroundings that tests/conftest.py gives to all tests."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from airflow.configuration import conf
from airflow.sdk import DAG, BaseHook, task

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.conftest import RunDag


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_no_way_out(address: str) -> None:
    """A connection to another machine is refused before a packet leaves."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock, pytest.raises(pytest.fail.Exception, match="stay on this machine"):
        sock.connect((address, 443))


def test_airflow_is_a_throw_away() -> None:
    """Airflow's database is neither the person's own nor left behind."""
    assert Path(conf.get("database", "sql_alchemy_conn").removeprefix("sqlite:///")).parent.name.startswith("sfleads-")


def test_run_dag(run_dag: RunDag) -> None:
    """A Dag that a test defines runs, and hands its result back."""
    with DAG("surroundings", schedule=None) as dag:

        @task
        def answer() -> int:
            return 42

        answer()
    run = run_dag(dag)
    instance = run.get_task_instance("answer")
    assert instance is not None
    assert (run.state, instance.xcom_pull("answer")) == ("success", 42)


def test_salesforce_conn(salesforce_conn: str, emulator: EmulatorServer) -> None:
    """The connection leads to this test's emulator, which holds nothing yet."""
    connection = BaseHook.get_connection(salesforce_conn)
    assert (connection.conn_type, connection.host) == ("salesforce_leads", emulator.url)
    assert emulator.stats()["leads"] == 0


def test_postgres(postgres_url: str) -> None:
    """A PostgreSQL server of the tests' own answers."""
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
