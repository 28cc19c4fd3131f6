"""The operators as the bulk benchmarks run them, each in a process of its own: ``python -m benchmarks._task``."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks._emulator import connect, execute
from benchmarks._measure import measured

EXTERNAL_ID = "External_Id__c"
#: Columns of the export, and the Lead fields they go into.
FIELDS = {
    "first": "FirstName",
    "last": "LastName",
    "company": "Company",
    "email": "Email",
    "phone": "Phone",
    "employees": "NumberOfEmployees",
    "score": "Lead_Score__c",
}
#: What a load loads.
MODULES = (
    "airflow_provider_sfleads.pipeline.staging",
    "airflow_provider_sfleads.pipeline.intake",
    "airflow_provider_sfleads.exports.csv_reader",
    "airflow_provider_sfleads.exports.file_export",
    "airflow_provider_sfleads.exports.jsonl_reader",
    "airflow_provider_sfleads.hooks.connection_check",
    "airflow_provider_sfleads.hooks.connection_fields",
    "airflow_provider_sfleads.exports.parquet_reader",
    "airflow_provider_sfleads.operators.run_parts",
    "airflow_provider_sfleads.operators.load_run",
    "airflow_provider_sfleads.operators.load",
    "airflow_provider_sfleads.operators.parameters",
    "airflow_provider_sfleads.operators.prefilter",
    "airflow_provider_sfleads.results.recorded",
    "airflow_provider_sfleads.pipeline.prepare",
    "numpy.ma",
    "pyarrow.acero",
    "pyarrow.csv",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "upath.implementations.local",
)
_COUNTS = ("read", "created", "updated", "unchanged", "rejected", "not_sent")


def operator_for(kind: str, export: Path, results: Path, **more: Any) -> Any:  # noqa: ANN401 - either operator
    """Return the operator of a benchmark.

    :param kind: ``"create"`` upserts all columns; ``"stage"`` finds the leads by key and moves them.
    """
    from airflow_provider_sfleads.exports import FileExport
    from airflow_provider_sfleads.operators.leads import (
        SalesforceCreateLeadsOperator,
        SalesforceUpdateLeadStageOperator,
    )

    common = {
        "task_id": kind,
        "export": FileExport(str(export)),
        "key": "key",
        "external_id_field": EXTERNAL_ID,
        "results_path": str(results),
        "api": "bulk",
        **more,
    }
    if kind == "create":
        return SalesforceCreateLeadsOperator(fields=FIELDS, existing="update", **common)
    return SalesforceUpdateLeadStageOperator(ladder=["Lead", "MQL", "SAL", "SQL"], **common)


def run(kind: str, export: Path, url: str, wrap: Callable[..., Any] = lambda work: work()) -> dict[str, int]:
    """Run an operator and return its report's counts.

    :param wrap: calls the work; a profiler, say.
    """
    connect(url)
    with tempfile.TemporaryDirectory() as folder:
        report = wrap(lambda: execute(operator_for(kind, export, Path(folder)), run_id=kind))
    return {name: report[name] for name in (*_COUNTS, "api_calls")}


@contextmanager
def idle_task(*modules: str) -> Iterator[None]:
    """Make this process what a task's is before the operator begins.

    :param modules: what a Dag file imports.
    """
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("AIRFLOW_HOME", home)
        # A task's process is forked from its supervisor's.
        for module in ("airflow.sdk.execution_time.supervisor", "airflow.sdk.execution_time.task_runner", *modules):
            import_module(module)
        yield


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("create", "stage"))
    parser.add_argument("export", type=Path)
    parser.add_argument("url")
    args = parser.parse_args()
    with idle_task("airflow_provider_sfleads.operators.leads", "airflow_provider_sfleads.exports"):
        measured(lambda: run(args.kind, args.export, args.url), MODULES)


if __name__ == "__main__":
    main()
