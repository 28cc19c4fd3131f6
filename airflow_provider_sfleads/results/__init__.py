"""What a sync writes: results and rejects per row, the report, and the state it writes back to the warehouse."""

from __future__ import annotations

from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import recorded_outcomes, settled_rows
from airflow_provider_sfleads.results.write_back import WriteBackRow, write_back
from airflow_provider_sfleads.results.writer import ResultsWriter

__all__ = [
    "ResultsFolder",
    "ResultsWriter",
    "WriteBackRow",
    "recorded_outcomes",
    "settled_rows",
    "write_back",
]
