"""Reports as runs leave them, without the runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec  # type: ignore[import-untyped]  # noqa: TID253 - no Dag file

from tests.core.reports import VALUES

FIRST = datetime(2026, 11, 10, tzinfo=UTC)


def leave(
    root: str,
    day: int,
    *,
    dag_id: str = "leads",
    task_id: str = "create",
    map_index: int = -1,
    second: int = 0,
    content: str | None = None,
    fs: fsspec.AbstractFileSystem | None = None,
    **changes: Any,
) -> str:
    """Leave the report of one execution of a day's run.

    :param second: at which the execution began.
    :param content: of the file, instead of a report.
    :return: the folder.
    """
    start = FIRST + timedelta(days=day)
    interval = {"interval_start": start.isoformat(), "interval_end": (start + timedelta(days=1)).isoformat()}
    values = VALUES | interval | changes
    suffix = "-dry-run" if values["dry_run"] else ""
    name = f"20261124T0200{second:02}.000000Z{suffix}"
    folder = f"{root}/{dag_id}/backfill__{start.isoformat()}/{task_id}/{map_index}/{name}"
    fs = fs or fsspec.filesystem("file")
    fs.makedirs(folder, exist_ok=True)
    fs.pipe_file(f"{folder}/results-00000.parquet", b"")
    fs.pipe_file(f"{folder}/report.json", (json.dumps(values, indent=2) if content is None else content).encode())
    return folder
