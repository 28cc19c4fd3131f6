# ruff: noqa: TID253 - tests are no Dag files
"""What look-ups in columns are tested with: an org that also counts and runs query jobs, and rows staged by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from airflow_provider_sfleads.pipeline.lookup import Mask, Reading
from airflow_provider_sfleads.pipeline.plan import Candidate
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, FIELD, ORIGINAL, staged_schema
from airflow_provider_sfleads.salesforce.wire import Call, Reply
from tests.pipeline.org import Org
from tests.pipeline.runs import Seen

JOB = "7500000000000AAAAA"


@dataclass(slots=True)
class AskedOrg:
    """An org in memory that counts its leads and runs query jobs.

    :param org: the org.
    :param page_rows: rows to a page of results.
    :param states: what a query job says of itself, call by call; the last is its end.
    :param refuses: whether query jobs are refused.
    """

    org: Org
    page_rows: int = 3
    states: list[str] = field(default_factory=lambda: ["InProgress", "JobComplete"])
    refuses: bool = False
    calls: list[Call] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    _rows: list[dict[str, Any]] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)

    def send(self, call: Call) -> Reply:
        """Answer as the transport would."""
        self.calls.append(call)
        if call.path.startswith("jobs/query"):
            return self._job(call)
        soql = (call.params or {}).get("q", "")
        if soql.startswith("SELECT COUNT()"):
            return Reply(status=200, body={"totalSize": len(self._found(soql)), "done": True, "records": []})
        return self.org.send(call)

    def download(self, call: Call, path: Path) -> Reply:
        """Answer with CSV."""
        self.calls.append(call)
        start = int((call.params or {}).get("locator", "0"))
        page = self._rows[start : start + self.page_rows]
        text = io.StringIO(newline="")
        lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        lines.writerows([self._names, *([_csv(row.get(name)) for name in self._names] for row in page)])
        path.write_text(text.getvalue(), encoding="utf-8", newline="")
        following = start + self.page_rows
        locator = str(following) if following < len(self._rows) else "null"
        return Reply(status=200, headers={"sforce-locator": locator})

    def reading(self, directory: Path, *, stopped: Callable[[], bool] = lambda: False) -> Reading:
        """What a look-up reads with."""
        return Reading(
            send=self.send,
            download=self.download,
            conn_id="sf",
            concurrency=2,
            directory=directory,
            pause=self.waits.append,
            stopped=stopped,
        )

    def paths(self) -> list[str]:
        """What was called: method and path."""
        return [f"{call.method} {call.path.replace(JOB, 'JOB')}" for call in self.calls]

    def _job(self, call: Call) -> Reply:
        if self.refuses:
            return Reply(status=400, body=[{"errorCode": "EXCEEDEDQUOTA", "message": "no more jobs today"}])
        if call.method == "POST":
            assert isinstance(call.body, dict)
            soql = call.body["query"]
            self._names = soql.removeprefix("SELECT ").partition(" FROM ")[0].split(", ")
            self._rows = self._found(soql)
        elif call.method == "DELETE":
            return Reply(status=204)
        state = "UploadComplete" if call.method == "POST" else self.states[0]
        if call.method == "GET":
            self.states = self.states[1:] or self.states
        return Reply(status=200, body={"id": JOB, "state": state, "operation": "query", "object": "Lead"})

    def _found(self, soql: str) -> list[dict[str, Any]]:
        name = soql.partition(" WHERE ")[2].removesuffix(" != null")
        return [lead for lead in self.org.live() if not name or lead.get(name) is not None]


def _csv(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(float(value) if isinstance(value, Decimal) else value)


class Known:
    """A memory of values, in memory."""

    def __init__(self) -> None:
        self._seen = Seen()

    def add(self, key: str, space: str = "key", /) -> bool:
        """Whether the value is new."""
        return self._seen(key, space)

    def add_many(self, keys: pa.Array, space: str = "key", /) -> Mask:
        """Which are new."""
        return np.array([self.add(key, space) for key in keys.to_pylist()], dtype=np.bool_)


def staged(
    candidates: Sequence[Candidate], fields: Sequence[str], *, apart: Sequence[bool] = (), size: int = 3
) -> Callable[[], Iterator[pa.RecordBatch]]:
    """Candidates as a part, in batches of ``size`` rows.

    :param apart: which of them must not go through Bulk API 2.0; none by default.
    """
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate.row))
    schema = staged_schema(fields, pa.schema([(name, pa.string()) for name in names]))
    marks = list(apart) or [False] * len(candidates)
    rows = [_row(candidate, apart, fields) for candidate, apart in zip(candidates, marks, strict=True)]

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(rows), size):
            yield pa.RecordBatch.from_pylist(rows[start : start + size], schema=schema)

    return batches


def _row(candidate: Candidate, apart: bool, fields: Sequence[str]) -> dict[str, Any]:  # noqa: FBT001 - a column
    head = {
        "key": candidate.key, "lead_id": candidate.lead_id, "match": candidate.external_id, "apart": apart,
    }  # fmt: skip
    cells = {FIELD + name: _cell(candidate.record[name]) for name in fields if name in candidate.record}
    row = {ORIGINAL + name: None if value is None else str(value) for name, value in candidate.row.items()}
    return head | cells | row


def _cell(value: object) -> str:
    if value is None:
        return CLEAR
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
