"""Reports that nobody has to sync for."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from airflow_provider_sfleads.core.report import SyncReport

#: Of half a day that went well, but for four rows.
VALUES: dict[str, Any] = {
    "read": 5_714,
    "filtered": 3_585,
    "duplicate_keys": 0,
    "unchanged": 1_356,
    "created": 0,
    "updated": 702,
    "rejected": 71,
    "not_sent": 0,
    "would_create": 0,
    "would_update": 0,
    "api_calls": 7,
    "token_requests": 1,
    "api": "collections",
    "api_reason": "not more than 2,000 rows to send",
    "job_ids": [],
    "results_path": "s3://lake/results/mql/run/move/-1/20261118T020000.000000Z",
    "rejects_path": "s3://lake/results/mql/run/move/-1/20261118T020000.000000Z/rejects.csv",
    "dry_run": False,
    "started_at": "2026-11-18T02:00:00+00:00",
    "finished_at": "2026-11-18T02:00:01.500000+00:00",
    "host": "acme.my.salesforce.com",
    "operation": "update_stage",
    "interval_start": "2026-11-17T01:00:00+01:00",
    "interval_end": "2026-11-18T01:00:00+01:00",
    "attempts": 1,
    "reject_reasons": {"NOT_FOUND": 40, "STRING_TOO_LONG": 31},
    "unchanged_reasons": {"already_at_stage": 1_356},
    "api_usage": {"used": 10, "max": 100_000},
}


def report(**changes: Any) -> SyncReport:
    """A report that is another one in some of its values."""
    return SyncReport.from_json(VALUES | changes)


_counts = st.integers(min_value=0, max_value=10**12)
_texts = st.text(max_size=2_000)
_reasons = st.dictionaries(st.text(max_size=300), _counts, max_size=25)
_BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    "int": _counts,
    "bool": st.booleans(),
    "str": _texts,
    "list": st.lists(_texts, max_size=3),
    "dict": _reasons,
}

#: Whatever a report can hold, and what it cannot.
reports = st.fixed_dictionaries({name: _BY_KIND[type(value).__name__] for name, value in VALUES.items()}).map(
    SyncReport.from_json
)
