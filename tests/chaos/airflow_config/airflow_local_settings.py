"""Airflow imports this when it starts: its scheduler loads once what each task, forked from it, would load anew.

It is half of what a try costs the processor.
"""

from __future__ import annotations

import importlib
import sys

from airflow import __version__

_LOADED = (
    "airflow.providers.common.sql.operators.sql",
    "airflow.providers.postgres.hooks.postgres",
    "pyarrow.parquet",
    "numpy",
    "requests",
    "simplejson",
    "tenacity",
    "airflow_provider_sfleads.pipeline.job_results",
    "airflow_provider_sfleads.pipeline.intake",
    "airflow_provider_sfleads.pipeline.job_run",
    "airflow_provider_sfleads.pipeline.row_run",
    "airflow_provider_sfleads.salesforce",
)

# In 3.1 not all of Airflow is there yet, which its providers want.
if "scheduler" in sys.argv and not __version__.startswith("3.1."):
    for name in _LOADED:
        importlib.import_module(name)
