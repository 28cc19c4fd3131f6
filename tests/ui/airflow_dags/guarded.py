"""Two Dags: one that FAB's per-Dag roles are for, and one that belongs to others."""

from __future__ import annotations

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from tests.ui.people import MAY_READ

for dag_id, access_control in MAY_READ.items():
    with DAG(dag_id, schedule=None, access_control=access_control):
        EmptyOperator(task_id="sync")
