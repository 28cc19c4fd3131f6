# ruff: noqa: TID253 - a test is no Dag file
"""What became of the rows of a load, held against the row code: both APIs have one meaning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, Outcome, UnansweredSend
from airflow_provider_sfleads.pipeline.job_outcomes import Collector
from airflow_provider_sfleads.pipeline.job_results import CREATED, ERROR, ID, State, match_by
from airflow_provider_sfleads.pipeline.lookup import LeadLookup
from airflow_provider_sfleads.pipeline.plan import Candidate, Item
from airflow_provider_sfleads.pipeline.ports import RunTerms
from airflow_provider_sfleads.pipeline.staged_rows import Sending, field_names, rebuild, with_place
from airflow_provider_sfleads.results.columns import complete, to_outcome
from airflow_provider_sfleads.salesforce.collections import SaveResult
from airflow_provider_sfleads.salesforce.ingest_jobs import row_error
from tests.pipeline.asking import staged
from tests.pipeline.job_files import JOB, results_of, uploaded, write_file
from tests.pipeline.org import Org, lead_id
from tests.pipeline.runs import create_plan, describe, stage_plan

NOW = datetime(2026, 11, 24, 0, 10, tzinfo=UTC)
TERMS = RunTerms(
    dry_run=False,
    batch_size=200,
    concurrency=1,
    attempt=2,
    now=lambda: NOW,
    server_now=lambda: NOW,
    lead_url=lambda lead: f"https://acme/{lead}/view",
    stop=Event(),
    began=NOW,
    user_ids=frozenset(),
    doubt=lambda: UnansweredSend(since=NOW, last=NOW),
)
MET = "DUPLICATE_VALUE:duplicate value found: External_Id__c duplicates value on record with id: {}:{}--"
ERRORS = (
    MET.format(lead_id(1), ""),
    MET.format(lead_id(2)[:15], "External_Id__c "),
    f"DUPLICATE_VALUE:Doppelter Wert, Datensatz {lead_id(3)}:External_Id__c --",
    "DUPLICATE_VALUE:duplicate value found: <unknown> duplicates value on record with id: <unknown>:--",
    f"DUPLICATE_VALUE:duplicate value found: Badge__c duplicates value on record with id: {lead_id(1)}:--",
    "DUPLICATES_DETECTED:Use one of these records?:--",
    "REQUIRED_FIELD_MISSING:Required fields are missing: [Company]:Company --",
    "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:Trigger: UNABLE_TO_LOCK_ROW:--",
    "API_CURRENTLY_DISABLED:not now:--",
    "STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--",
    "CANNOT_UPDATE_CONVERTED_LEAD:cannot reference converted lead:--",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION:a stage does not go back:Lead_Stage__c --",
    "nothing of this form",
    "",
)


@dataclass(frozen=True)
class Case:
    """A plan, one of its ways, and the org that it asks."""

    plan: Any
    way: int

    @property
    def sending(self) -> Sending:
        """How the load goes out."""
        kind, expected = self.plan.ways[self.way]
        return Sending(kind=kind, expected=expected)


def case(name: str) -> Case:
    """The plans there are, and how each sends."""
    if name == "stage":
        return Case(stage_plan()[0], 0)
    if name == "plain":
        return Case(create_plan(external_id_field=None)[0], 0)
    existing, _, way = name.partition(" ")
    return Case(create_plan(existing=existing)[0], 1 if way == "known" else 0)


def load_of(chosen: Case, count: int) -> list[pa.RecordBatch]:
    """A load of so many rows, in batches of four."""
    operation, is_stage = chosen.sending.kind.operation, chosen.plan.operation == "update_stage"
    fields = ("Lead_Stage__c",) if is_stage else ("External_Id__c", "LastName", "Company")
    candidates = []
    for row in range(count):
        key = f"K{row}"
        values = ("MQL",) if is_stage else (key, f"Ray {row}", "Acme")
        keyed = key.lower() if not is_stage and chosen.plan.rules.external else None
        record = dict(zip(fields, values, strict=True))
        candidates.append(Candidate(key=key, row={"id": key, "note": "ö"}, record=record, external_id=keyed))
    named = operation == "update" or chosen.sending.expected is Action.UPDATED
    batches = []
    for start, batch in enumerate(staged(candidates, fields, size=4)()):
        n = batch.num_rows
        ids = [lead_id(500 + 4 * start + row) if named else None for row in range(n)]
        stages = [["New" if is_stage else None] * n, ["MQL" if is_stage else None] * n]
        batches.append(with_place(batch, [pa.array(values, pa.string()) for values in (ids, *stages)]))
    return batches


def org() -> Org:
    """Some of the rows' leads are there, some have been converted meanwhile."""
    held = Org()
    for row in range(0, 20, 3):
        held.add(External_Id__c=f"K{row}", LastName="Ray", Company="Acme", IsConverted=row % 2 == 0)
    for row in range(20):
        held.leads[lead_id(500 + row)] = {
            "Id": lead_id(500 + row), "IsDeleted": False, "IsConverted": row % 2 == 0, "ConvertedContactId": None,
            "Lead_Stage__c": ("New", "MQL", "SQL")[row % 3], "External_Id__c": None,
        }  # fmt: skip
    return held


def collector(chosen: Case, asked: Org) -> Collector:
    """What settles the load."""
    return Collector(
        plan=chosen.plan, sending=chosen.sending, lead=describe(),
        lookup=LeadLookup(send=asked.send, conn_id="sf", lead=describe()),
        conn_id="sf", job_id=JOB, terms=TERMS, doubt=None,
    )  # fmt: skip


SearchResult = tuple[State, int]
"""What a job says of a row, and which of the errors."""


def files_of(batches: list[pa.RecordBatch], fates: list[SearchResult], folder: Path) -> dict[State, Path]:
    """The result files of the job."""
    lines: dict[State, list[dict[str, str]]] = {state: [] for state in State}
    rows = [line for batch in batches for line in uploaded(batch)]
    for number, (row, (state, error)) in enumerate(zip(rows, fates, strict=True)):
        word = "true" if error % 2 else "false"
        lines[state].append(row | {ID: row["Id"] or lead_id(number + 1), CREATED: word, ERROR: ERRORS[error]})
    columns = tuple(rows[0])
    heads = {State.SUCCEEDED: (ID, CREATED), State.FAILED: (ID, ERROR), State.UNPROCESSED: ()}
    return {
        state: write_file(folder / f"{state}.csv", lines[state], (*head, *columns)) for state, head in heads.items()
    }


def by_row(
    chosen: Case, batches: list[pa.RecordBatch], fates: list[SearchResult], asked: Org
) -> Iterator[tuple[str, Any]]:
    """The row code's word on each row: an outcome, or what is to be done with it."""
    lookup = LeadLookup(send=asked.send, conn_id="sf", lead=describe())
    items = [item for batch in batches for item in rebuild(batch, range(batch.num_rows), describe(), chosen.sending)]
    for number, (item, (state, error)) in enumerate(zip(items, fates, strict=True)):
        verdict = SaveResult(error=row_error(ERRORS[error]))
        if state is State.SUCCEEDED:
            verdict = SaveResult(id=item.salesforce_id or lead_id(number + 1), created=error % 2 == 1)
            if chosen.sending.kind.operation == "update":
                verdict = replace(verdict, created=None)
        is_open = state in (State.SILENT, State.UNPROCESSED)
        if is_open or verdict.is_open:
            is_lost = state is State.SILENT and not chosen.sending.kind.repeatable
            yield item.candidate.key, "unknown" if is_lost else "again"
            continue
        (settled,) = chosen.plan.settle([item], [verdict], lookup)
        if isinstance(settled, Item):
            # To be sent in another way.
            yield item.candidate.key, "met"
            continue
        lead = settled.outcome.salesforce_id
        outcome = replace(
            settled.outcome, api="bulk", batch=JOB, attempt=2, finished_at=NOW,
            lead_url=f"https://acme/{lead}/view" if lead else None,
        )  # fmt: skip
        yield item.candidate.key, (outcome, settled.row if outcome.action is Action.REJECTED else None)


def by_column(chosen: Case, batches: list[pa.RecordBatch], files: dict[State, Path], asked: Org) -> dict[str, Any]:
    """The same of the columns' code."""
    found: list[tuple[str, Any]] = []
    rules = chosen.plan.rules
    match = match_by(chosen.sending.kind, rules.external, field_names(batches[0].schema))
    inserts = rules.external is not None and chosen.sending.kind.operation == "insert"
    external = rules.external.name if inserts else None
    with results_of(batches, match, files[State.FAILED].parent, external) as results:
        results.add_successful(files[State.SUCCEEDED])
        results.add_failed(files[State.FAILED])
        results.add_unprocessed(files[State.UNPROCESSED])
        assert results.strangers == 0
        for collected in collector(chosen, asked).collect(iter(batches), results):
            outcomes = [to_outcome(row) for row in complete(collected.lines).to_pylist()]
            found += [(outcome.key, (outcome, None)) for outcome in outcomes]
            for settled in collected.settled:
                row = settled.row if settled.outcome.action is Action.REJECTED else None
                found.append((settled.outcome.key, (settled.outcome, row)))
            for name in ("again", "met", "unknown"):
                found += [(key, name) for key in getattr(collected, name).column("key").to_pylist()]
    assert len(found) == len(dict(found))
    return dict(found)


@settings(deadline=None, max_examples=120)
@given(
    name=st.sampled_from(["skip", "update", "update known", "plain", "stage"]),
    fates=st.lists(st.tuples(st.sampled_from(State), st.integers(0, len(ERRORS) - 1)), min_size=1, max_size=20),
)
@example(name="update", fates=[(State.SILENT, 0)] * 3 + [(State.FAILED, 3)])
def test_every_row_becomes_what_the_row_code_makes_of_it(name: str, fates: list[SearchResult]) -> None:
    """Once, whatever the job says of it."""
    chosen = case(name)
    batches = load_of(chosen, len(fates))
    with TemporaryDirectory() as folder:
        files = files_of(batches, fates, Path(folder))
        assert by_column(chosen, batches, files, org()) == dict(by_row(chosen, batches, fates, org()))


def test_leads_that_exist_are_settled_without_a_call_or_a_look_at_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million of them is what a normal night has."""
    chosen = case("skip")
    monkeypatch.setattr("airflow_provider_sfleads.pipeline.job_outcomes.rebuild", lambda *_: pytest.fail("row by row"))
    batches, asked = load_of(chosen, 9), org()
    found = by_column(chosen, batches, files_of(batches, [(State.FAILED, 0)] * 9, tmp_path), asked)
    assert asked.calls == []
    assert found == {
        f"K{row}": (
            Outcome(
                key=f"K{row}", action=Action.UNCHANGED, reason="already_exists", salesforce_id=lead_id(1), api="bulk",
                batch=JOB, attempt=2, finished_at=NOW, lead_url=f"https://acme/{lead_id(1)}/view",
            ),
            None,
        )
        for row in range(9)
    }  # fmt: skip


@pytest.mark.parametrize(("error", "code"), [(9, "API_CURRENTLY_DISABLED"), (10, "STORAGE_LIMIT_EXCEEDED")])
def test_what_ends_all_writing_is_said(tmp_path: Path, error: int, code: str) -> None:
    """The rows wait, and no further job is begun."""
    chosen = case("skip")
    batches = load_of(chosen, 2)
    files = files_of(batches, [(State.FAILED, error), (State.SUCCEEDED, 1)], tmp_path)
    taking = collector(chosen, org())
    match = match_by(chosen.sending.kind, chosen.plan.rules.external, field_names(batches[0].schema))
    with results_of(batches, match, tmp_path) as results:
        results.add_successful(files[State.SUCCEEDED])
        results.add_failed(files[State.FAILED])
        (collected,) = taking.collect(iter(batches), results)
    assert collected.again.column("key").to_pylist() == ["K0"]
    assert code in str(taking.stop)
