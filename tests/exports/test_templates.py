from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_sfleads.exports import FileExport, SqlExport, SqlTable

SEEN: list[str] = []


class Reads(BaseOperator):
    """An operator as ours are, less the syncing."""

    template_fields = ("export", "table")
    template_ext = (".sql",)

    def __init__(self, *, export: SqlExport | FileExport, table: SqlTable, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.export = export
        self.table = table

    def prepare_for_execution(self) -> Self:
        """Render copies: the values in the Dag are shared by its runs in one process."""
        other = super().prepare_for_execution()
        other.export, other.table = copy(self.export), copy(self.table)
        return other

    def execute(self, context: Any) -> None:  # noqa: ANN401, ARG002 - as BaseOperator
        """Note what was rendered."""
        SEEN.append(f"{self.export!r} {self.table!r}")


def test_fields_inside_exports_and_tables_are_rendered(run_dag: Callable[..., Any], tmp_path: Path) -> None:
    """Also SQL that lies in a file beside the Dag, and twice in one process without a trace of the first time."""
    (tmp_path / "leads.sql").write_text("SELECT * FROM leads WHERE day = '{{ ds }}'\n")
    with DAG("templates", schedule=None, template_searchpath=str(tmp_path)) as dag:
        Reads(
            task_id="sql",
            export=SqlExport("wh_{{ ds_nodash }}", "leads.sql", {"from": "{{ ds }}", "list": ["{{ ds }}", 1]}),
            table=SqlTable("wh", "state_{{ ds_nodash }}"),
        )
        Reads(
            task_id="file",
            export=FileExport(tmp_path / "{{ ds }}.csv", format="{{ 'csv' }}", conn_id="{{ ds_nodash }}"),
            table=SqlTable("{{ dag.dag_id }}", "t"),
        )
    SEEN.clear()
    for number in (2, 3):
        run = run_dag(dag, logical_date=datetime(2026, 1, number, tzinfo=UTC))
        assert run.state == "success"
    expected = []
    for day in ("2026-01-02", "2026-01-03"):
        plain = day.replace("-", "")
        sql = f"SELECT * FROM leads WHERE day = '{day}'"  # noqa: S608 - the very text
        by_sql = SqlExport(f"wh_{plain}", sql, {"from": day, "list": [day, 1]})
        by_file = FileExport(f"{tmp_path}/{day}.csv", "csv", plain)
        expected.append(
            [f"{by_sql!r} {SqlTable('wh', f'state_{plain}')!r}", f"{by_file!r} {SqlTable('templates', 't')!r}"]
        )
    assert [sorted(SEEN[at : at + 2]) for at in (0, 2)] == [sorted(pair) for pair in expected]


class Opaque:
    """A value whose repr holds its address."""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (SqlExport("wh", "SELECT 1"), "SqlExport(conn_id='wh', sql='SELECT 1', parameters=None, fetch_size=10000)"),
        (
            SqlExport("wh", "x", {"at": datetime(2026, 1, 2, tzinfo=UTC), "n": Decimal(1), "api_token": "abc"}, 5),
            (
                "SqlExport(conn_id='wh', sql='x', parameters={'at': datetime.datetime(2026, 1, 2, 0, 0, "
                "tzinfo=datetime.timezone.utc), 'n': Decimal('1'), 'api_token': '***'}, fetch_size=5)"
            ),
        ),
        (
            SqlExport("wh", "x", (Opaque(), [None])),
            "SqlExport(conn_id='wh', sql='x', parameters=(<Opaque>, [None]), fetch_size=10000)",
        ),
        (FileExport(Path("/a/b.csv")), "FileExport(path='/a/b.csv', format=None, conn_id=None)"),
        (SqlTable("wh", "a.b"), "SqlTable(conn_id='wh', table='a.b')"),
    ],
)
def test_the_repr_is_stable_and_holds_no_secret(value: object, shown: str) -> None:
    """Airflow stores it with the Dag: an address would make a new version of the Dag at each parse."""
    assert repr(value) == shown


def test_equality_is_by_fields_and_type() -> None:
    """Nothing else counts."""
    assert SqlTable("wh", "a") == SqlTable("wh", "a")
    assert SqlTable("wh", "a") != SqlTable("wh", "b")
    assert SqlExport("wh", "x", {"a": 1}) == SqlExport(conn_id="wh", sql="x", parameters={"a": 1})
    assert FileExport("wh") != SqlTable("wh", "x")


def test_importing_exports_is_cheap() -> None:
    """A Dag file is parsed again and again."""
    code = (
        "import sys; import airflow_provider_sfleads.exports, airflow_provider_sfleads.results;"
        "print([n for n in ('airflow', 'pyarrow', 'duckdb', 'pandas', 'sqlite3', 'fsspec') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
