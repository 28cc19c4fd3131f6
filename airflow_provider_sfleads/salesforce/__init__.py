"""The one place that speaks HTTP to Salesforce."""

from __future__ import annotations

from airflow_provider_sfleads.salesforce.client import Client
from airflow_provider_sfleads.salesforce.settings import Retries, Settings

__all__ = ["Client", "Retries", "Settings"]
