"""A Dag for each mode; everything else comes with a Dag run's conf."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_sfleads.exports import SqlTable
from tests.chaos.operators import Create, Move, Paced


def conf(name: str) -> str:
    """A template that takes a value from the run's conf."""
    return f"{{{{ dag_run.conf['{name}'] }}}}"


CREATE = {"fields": {"last": "LastName", "company": "Company", "mail": "Email"}, "match_email": conf("match_email")}
UPSERT = {**CREATE, "external_id_field": "External_Id__c", "existing": "update"}
TABLE = {"write_back": SqlTable("chaos_warehouse", conf("table"))}
MODES: dict[str, tuple[type[Create | Move], dict[str, Any]]] = {
    "unique": (Create, {**CREATE, "external_id_field": "External_Id__c"}),
    "upsert": (Create, UPSERT),
    "plain": (Create, CREATE),
    "stage": (Move, {"external_id_field": "External_Id__c", "ladder": ["Lead", "MQL", "SAL", "SQL"]}),
    "newer": (Create, {**UPSERT, **TABLE, "changed_only": conf("changed_only")}),
    "write_back": (Create, {**UPSERT, **TABLE}),
    "changed_only": (Create, {**UPSERT, **TABLE, "changed_only": True}),
    "remembering": (Create, {**UPSERT, "changed_only": True}),
}
COMMON: dict[str, Any] = {
    "task_id": "sync",
    "key": "key",
    "results_path": conf("results_path"),
    "salesforce_conn_id": conf("salesforce_conn_id"),
    "max_rejects": conf("max_rejects"),
    **{name: conf(name) for name in ("api", "batch_size", "concurrency", "deferrable", "door")},
    "retries": 15,
    "retry_delay": timedelta(0),
}


for mode, (operator, parameters) in MODES.items():
    with DAG(f"chaos_{mode}", schedule=None, max_active_runs=16):
        operator(export=Paced(conf("export"), conf("pace")), **COMMON, **parameters)

with DAG("chaos_mapped", schedule=None, max_active_runs=16):
    exports = [Paced(f"{conf('export')}/{number}.jsonl", conf("pace")) for number in range(3)]
    Create.partial(**COMMON, **UPSERT, **TABLE).expand(export=exports)
