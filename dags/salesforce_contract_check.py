"""Check, by hand, whether the org and its Run-As user are as the syncs assume; the log shows a table. It only reads."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Param, get_current_context, task

from airflow_provider_sfleads.check import check_contract

FIELD: dict[str, Any] = {"type": ["null", "string"], "pattern": r"^\w+$"}
PARAMS = {
    "external_id_field": Param(
        "External_Id__c", **FIELD, title="External ID", description="Lead's, as the Dags use it."
    ),
    "stage_field": Param("Lead_Stage__c", **FIELD, title="Stage field", description="Lead's, as the Dags use it."),
    "match_email": Param(default=False, type="boolean", title="match_email", description="Whether Dags use it."),
}

with DAG(
    dag_id="salesforce_contract_check",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"max_active_tis_per_dag": 1},
    params=PARAMS,
    tags=["leads", "check"],
    doc_md=__doc__,
):

    @task(task_id="check")
    def check() -> dict[str, Any]:
        """Fail where an assumption does not hold; the findings are the XCom."""
        params = get_current_context()["params"]
        return check_contract(
            "salesforce_leads_default",
            external_id_field=params["external_id_field"],
            stage_field=params["stage_field"],
            match_email=params["match_email"],
        )

    check()
