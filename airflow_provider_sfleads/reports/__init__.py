"""The reports of many runs, read together: those of a backfill, or of a month."""

from __future__ import annotations

from airflow_provider_sfleads.reports.reading import RecordedReport, Totals, read_reports

__all__ = ["RecordedReport", "Totals", "read_reports"]
