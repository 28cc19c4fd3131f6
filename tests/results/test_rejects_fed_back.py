# ruff: noqa: TID253 - a test is no Dag file
"""Rejected for one thing, mended in that and fed back, a row is sent as it would have been in the first place."""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.mapping import FieldMap
from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Row
from airflow_provider_sfleads.core.text import is_container, is_unicode
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.exports.record_batches import Chunk, batch_chunks, chunk_rows, value_chunks
from airflow_provider_sfleads.pipeline.intake import ColumnIntake
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
from airflow_provider_sfleads.pipeline.plan import Candidate, Plan, Settled
from airflow_provider_sfleads.pipeline.plan_settings import PlanSettings
from airflow_provider_sfleads.pipeline.prepare import prepare
from airflow_provider_sfleads.pipeline.staged_rows import candidates
from airflow_provider_sfleads.results.rejects import columns_of, line_of
from tests.pipeline.intakes import (
    CLOCKS,
    FIELDS,
    FIGURES,
    IDS,
    KEYS,
    LEAD,
    MOMENTS,
    TRUTHS,
    VALUES,
    WORDS,
    arrays,
    keys,
    one_by_one,
    together,
)  # fmt: skip
from tests.pipeline.runs import Seen, create_request, ground, taken_in

COLUMNS = ("id", "name", "value", "else")
FITTING = {
    "int": FIGURES, "double": FIGURES, "currency": FIGURES, "date": MOMENTS, "datetime": MOMENTS, "boolean": TRUTHS,
    "reference": IDS, "time": CLOCKS,
}  # fmt: skip
NAME = "Ray"


@st.composite
def requests(draw: st.DrawFn) -> PlanSettings:
    """A request that maps one column to LastName, one to any field and one to none."""
    return create_request(
        external_id_field=draw(st.sampled_from([None, *KEYS])),
        # A rule would overwrite the owner, where that is mapped.
        auto_assign="FALSE",
        field_map=FieldMap(
            columns={"name": "LastName", "value": draw(st.sampled_from(FIELDS))},
            constants={"Company": "Acme"},
            nulls=draw(st.sampled_from(["ignore", "clear"])),
            truncate=draw(st.booleans()),
        ),
    )


def plan_of(request: PlanSettings) -> Plan:
    """The plan of a request."""
    return prepare(request, ground(COLUMNS, LEAD))


def rejects_of(lines: Iterable[Settled]) -> bytes:
    """The rejects file of rows, the reason left out."""
    columns = columns_of(COLUMNS)
    rows = [[line.row.get(column) for column in columns] for line in lines]
    return "".join(map(line_of, [columns, *rows])).encode(errors="replace")


def by_the_row(request: PlanSettings, chunk: Chunk) -> bytes:
    """What the row code rejects."""
    settled: list[Settled] = []
    deque(taken_in(plan_of(request), Seen(), chunk_rows(chunk), settled.append), maxlen=0)
    return rejects_of(line for line in settled if line.outcome.action is Action.REJECTED)


def by_the_column(request: PlanSettings, chunk: Chunk) -> bytes:
    """What the column code rejects."""
    plan = prepare(request, ground(COLUMNS, LEAD))
    with TemporaryDirectory() as folder, KeyMemory(Path(folder)) as memory:
        taken = ColumnIntake(plan.recipe, plan, memory, COLUMNS).take(chunk)
    return rejects_of(taken.settled)


def by_salesforce(request: PlanSettings, chunk: Chunk) -> tuple[bytes, bytes]:
    """The rows that go out, as rejects of either course: of pages, and of staged rows."""
    found = list(taken_in(plan_of(request), Seen(), chunk_rows(chunk), lambda _settled: None))
    everything = prepare(request, ground(COLUMNS, LEAD))
    with TemporaryDirectory() as folder, KeyMemory(Path(folder)) as memory:
        taken = ColumnIntake(everything.recipe, everything, memory, COLUMNS).take(chunk)
    return rejects_of(map(_rejected, found)), rejects_of(map(_rejected, candidates(taken.candidates, LEAD)))


def _rejected(candidate: Candidate) -> Settled:
    return Settled(outcome=Outcome(key=candidate.key, action=Action.REJECTED), row=candidate.row)


def mended(file: bytes) -> bytes:
    """The file with the one thing mended."""
    header, *lines = csv.reader(io.StringIO(file.decode(), newline=""))
    at = header.index("name")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows([*line[:at], NAME, *line[at + 1 :]] for line in lines)
    return out.getvalue().encode()


def sent(request: PlanSettings, file: bytes) -> list[object]:
    """What is sent of a file that is fed back, the same by the row and by the column."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rejects.csv"
        path.write_bytes(file)
        export = FileExport(str(path))
        with export.open() as rows, export.open() as stream:
            assert rows.columns == stream.columns == columns_of(COLUMNS)
            pages = one_by_one(request, COLUMNS, [_without_reason(list(rows.rows))])
            jobs = together(request, COLUMNS, list(map(_without_reason, stream.chunks)))
    assert pages == jobs
    return _as_stored(pages.candidates)


def _without_reason(chunk: Chunk) -> Chunk:
    if not isinstance(chunk, list):
        return chunk.select(list(COLUMNS))
    assert not any(isinstance(row, BadRow) for row in chunk)
    return [{name: row[name] for name in COLUMNS} for row in chunk]  # type: ignore[index]


def with_name(chunk: Chunk, name: str | None) -> Chunk:
    """The chunk with another name in every row."""
    if isinstance(chunk, list):
        return [{**row, "name": name} for row in chunk]  # type: ignore[dict-item]
    values = pa.array([name] * chunk.num_rows, pa.string())
    return chunk.set_column(COLUMNS.index("name"), "name", values)


def check(request: PlanSettings, chunk: Chunk) -> None:
    """Hold what is sent of a chunk against what is sent of its rejects once they are mended."""
    whole, nameless = with_name(chunk, NAME), with_name(chunk, None)
    expected = _as_stored(one_by_one(request, COLUMNS, [whole]).candidates)
    file = by_the_row(request, nameless)
    assert by_the_column(request, nameless) == file
    again = sent(request, mended(file))
    assert [one for one in again if one in expected] == expected
    # What else is sent now was refused for a value that no text stands for: that would have had to be mended, too.
    assert len(again) == len(expected) or any(map(_is_no_text, _values(chunk)))
    # Salesforce itself may refuse a row, too.
    pages, jobs = by_salesforce(request, whole)
    assert pages == jobs
    assert sent(request, pages) == expected


def _as_stored(found: Iterable[Any]) -> list[object]:
    """Key, ids and record; numbers as Salesforce stores them: which digits a float beyond 2**53 has is all one."""
    return [(*head, [_stored(field) for field in record]) for *head, record, _ in found]


def _stored(field: tuple[str, str, Any]) -> object:
    name, kind, value = field
    return (name, kind, float(value) if kind in ("int", "Decimal") else value)


def _is_no_text(value: object) -> bool:
    return is_container(value) or (isinstance(value, str) and not is_unicode(value))


def _values(chunk: Chunk) -> Iterator[object]:
    rows = (row for row in chunk_rows(chunk) if not isinstance(row, BadRow))
    return (value for row in rows for value in row.values())


@st.composite
def batches(draw: st.DrawFn, request: PlanSettings) -> pa.RecordBatch:
    """Some rows: half of the time with values that fit the field's type, as far as text does."""
    rows = draw(st.integers(1, 4))
    info = LEAD.find(request.field_map.columns["value"])
    assert info is not None
    value = draw(arrays(rows, FITTING.get(info.type, WORDS)) | arrays(rows))
    columns = [draw(keys(rows)), pa.nulls(rows, pa.string()), value, draw(arrays(rows))]
    return pa.RecordBatch.from_arrays(columns, names=list(COLUMNS))


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_columns_of_any_type_for_any_field(data: st.DataObject) -> None:
    """As Parquet files and DuckDB have them."""
    request = data.draw(requests())
    for chunk in batch_chunks([data.draw(batches(request))], "x"):
        check(request, chunk)


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_values_of_any_type_for_any_field(data: st.DataObject) -> None:
    """As drivers and JSON Lines give them: in lists of rows, and in columns where that goes."""
    request = data.draw(requests())
    kinds = [data.draw(st.sampled_from([VALUES, WORDS, st.integers(0, 9), FIGURES])) for _ in COLUMNS]
    row = st.fixed_dictionaries({name: st.none() | values for name, values in zip(COLUMNS, kinds, strict=True)})
    rows: list[Row | BadRow] = data.draw(st.lists(row, min_size=1, max_size=4))
    check(request, rows)
    for chunk in value_chunks(COLUMNS, [[list(row.values()) for row in rows if not isinstance(row, BadRow)]]):
        check(request, chunk)
