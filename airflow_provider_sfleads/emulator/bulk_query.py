"""Query jobs: `/jobs/query`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sfleads.emulator.bulk_jobs import Job

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator.state import Emulator


def run(emulator: Emulator, job: Job) -> str | None:
    """Ask, and keep what was found; why it cannot be asked."""
    del emulator, job
    return "not served yet"
