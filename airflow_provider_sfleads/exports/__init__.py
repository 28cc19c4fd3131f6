"""What a sync reads, and the table it may write back to.

Cheap to import from a Dag file: drivers, pyarrow and Airflow's storage layer load when an export is opened.
"""

from __future__ import annotations

from airflow_provider_sfleads.exports.file_export import FileExport
from airflow_provider_sfleads.exports.sql_connection import SqlTable
from airflow_provider_sfleads.exports.sql_export import SqlExport

__all__ = ["FileExport", "SqlExport", "SqlTable"]
