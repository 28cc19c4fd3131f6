"""States of leads to be written back, a row each, as tests name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.results import lead_states
from airflow_provider_sfleads.results import write_back as writing

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_sfleads.exports.sql_connection import SqlTable


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One row of ``state_schema``."""

    key: str
    salesforce_id: str | None
    action: str
    stage: str | None
    finished_at: datetime | None = None
    is_moved: bool = False
    is_current: bool = True
    confirmed: str | None = None


def batches(rows: Iterable[State], size: int = 5_000) -> Iterator[pa.RecordBatch]:
    """The rows in batches."""
    import pyarrow as pa

    source = iter(rows)
    while some := list(islice(source, size)):
        yield pa.RecordBatch.from_pylist(list(map(asdict, some)), schema=lead_states.state_schema())


def write_back(table: SqlTable, rows: Iterable[State], size: int = 5_000, /, **how: Any) -> int:
    """Write rows back.

    :param size: how many at a time.
    """
    return writing.write_back(table, batches(rows, size), **how)
