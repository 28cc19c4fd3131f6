"""Versions, the resource list of a version, and limits."""

from __future__ import annotations

from typing import Any

from airflow_provider_sfleads.emulator.wire import ApiError, Call, Reply

_RELEASES = ("Winter", "Spring", "Summer")
# Version 60.0 is Spring '24; each year has three.
_KNOWN_VERSION, _KNOWN_YEAR, _KNOWN_SEASON = 60, 24, 1


def _label(version: str) -> str:
    step = int(float(version)) - _KNOWN_VERSION + _KNOWN_SEASON
    years, season = divmod(step, len(_RELEASES))
    return f"{_RELEASES[season]} '{_KNOWN_YEAR + years:02}"


def versions(call: Call) -> Reply:
    """`GET /services/data/`: needs no token, costs no API call."""
    served = call.emulator.settings.versions
    return Reply(
        body=[{"label": _label(v), "url": f"/services/data/v{v}", "version": v} for v in served],
    )


def resources(call: Call) -> Reply:
    """`GET /services/data/vXX.X/`."""
    names = {
        "composite": "composite",
        "jobs": "jobs",
        "limits": "limits",
        "query": "query",
        "queryAll": "queryAll",
        "sobjects": "sobjects",
    }
    return Reply(body={name: f"{call.prefix}/{path}" for name, path in names.items()})


def limits(call: Call) -> Reply:
    """`GET /limits`: needs *View Setup and Configuration*."""
    emulator = call.emulator
    settings = emulator.settings
    if not emulator.permissions.setup:
        raise ApiError(
            "INSUFFICIENT_ACCESS",
            "This feature is not currently enabled for this user type or organization",
            status=403,
        )
    left = max(0, settings.api_limit - emulator.journal.api_used)
    body: dict[str, Any] = {
        "DailyApiRequests": {"Max": settings.api_limit, "Remaining": left},
        "DailyAsyncApexExecutions": {"Max": 250_000, "Remaining": 250_000},
        "DailyBulkApiBatches": {
            "Max": settings.bulk_batch_limit,
            "Remaining": max(0, settings.bulk_batch_limit - emulator.jobs.batches_used),
        },
        "DailyBulkV2QueryJobs": {"Max": 10_000, "Remaining": 10_000},
        "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
        "DataStorageMB": {"Max": 1073, "Remaining": 900},
    }
    return Reply(body=body)
