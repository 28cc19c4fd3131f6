"""Lines of the results, by the column."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from airflow_provider_sfleads.core.outcome import Action, Reason


def lines(columns: Mapping[str, pa.Array], *, attempt: int, now: datetime) -> pa.RecordBatch:
    """Return lines with the try that settled them.

    :param columns: columns of the results; those that are not there are null.
    """
    n = len(columns["key"])
    settled = {
        "attempt": pa.repeat(pa.scalar(attempt, pa.int32()), n),
        "finished_at": pa.repeat(pa.scalar(now, pa.timestamp("us", tz="UTC")), n),
    }
    return pa.RecordBatch.from_pydict({**columns, **settled})


def left(batch: pa.RecordBatch, reason: Reason, *, attempt: int, now: datetime) -> pa.RecordBatch:
    """Return the lines of staged rows that were not sent, or of which nobody knows what became of them."""
    n = batch.num_rows
    known = "salesforce_id" if "salesforce_id" in batch.schema.names else "lead_id"
    columns = {
        "key": batch.column("key"),
        "action": pa.repeat(str(Action.NOT_SENT), n),
        "reason": pa.repeat(str(reason), n),
        "salesforce_id": batch.column(known),
    }
    return lines(columns, attempt=attempt, now=now)
