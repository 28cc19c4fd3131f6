# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import ServiceUnavailableError
from airflow_provider_sfleads.pipeline.job_results import (
    CREATED,
    ERROR,
    ID,
    Created,
    JobResults,
    Match,
    State,
    match_by,
)
from airflow_provider_sfleads.pipeline.staged_rows import CLEAR, staged_schema
from airflow_provider_sfleads.salesforce.collections import PageKind
from airflow_provider_sfleads.salesforce.ingest_jobs import row_error
from airflow_provider_sfleads.salesforce.replies import duplicate_fields, duplicate_id
from tests.pipeline.job_files import KEY, results_of, uploaded, write_file
from tests.pipeline.org import lead_id
from tests.samples.replay import sample

FIELDS = ("External_Id__c", "LastName", "Street")
COLUMNS = ("Id", *FIELDS)
BY_KEY = Match(columns=(KEY.name,), external=KEY)
NO_KEY: tuple[str, ...] = FIELDS[1:]
MET = "DUPLICATE_VALUE:duplicate value found: {} duplicates value on record with id: {}:{}--"


def load(keys: list[str], names: list[str | None] | None = None) -> pa.RecordBatch:
    """A load: keys, names, and a street that has a line break."""
    n = len(keys)
    schema = staged_schema(FIELDS, pa.schema([]), placed=True)
    columns = [
        keys, [None] * n, [key.lower() for key in keys], [False] * n, [lead_id(row) for row in range(n)], [None] * n,
        [None] * n, keys, names or ["Ray"] * n, ['1 "A" St\n2nd, floor'] * n,
    ]  # fmt: skip
    return pa.record_batch([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema)


def shown(results: JobResults, count: int) -> list[tuple[State, str, Created, str]]:
    """What was said of each row: state, id, created, error."""
    said = results.said(0, count)
    texts = [
        results.error_texts(said.texts[row : row + 1])[0] if state == State.FAILED else ""
        for row, state in enumerate(said.states)
    ]
    return [
        (State(state), bytes(lead).decode(), Created(created), text)
        for state, lead, created, text in zip(said.states, said.ids, said.created, texts, strict=True)
    ]


@settings(deadline=None, max_examples=60)
@given(
    fates=st.lists(st.sampled_from([*State, State.SUCCEEDED]), min_size=1, max_size=30),
    by=st.sampled_from(["key", "id"]),
    seed=st.integers(0, 1000),
)
def test_each_row_learns_what_its_line_says(
    tmp_path_factory: pytest.TempPathFactory, fates: list[State], by: str, seed: int
) -> None:
    """Whatever the order of lines and columns; a row without a line stays silent."""
    folder = tmp_path_factory.mktemp("job")
    batch = load([f"Kü-{row}" for row in range(len(fates))])
    match = BY_KEY if by == "key" else Match(columns=("Id",))
    lines: dict[State, list[dict[str, str]]] = {state: [] for state in State}
    wanted = []
    for row, (fate, line) in enumerate(zip(fates, uploaded(batch), strict=True)):
        lead, error = lead_id(1000 + row), f"SOME_CODE:a: b\n{row}:Street --"
        word = ("true", "false", "")[row % 3]
        lines[fate].append(line | {ID: lead, CREATED: word, ERROR: error})
        created = {"true": Created.YES, "false": Created.NO, "": Created.UNSAID}[word]
        # What an update is told apart by is the lead's id, which the row knows.
        by_fate = {
            State.SUCCEEDED: ("" if match.by_id else lead, created, ""),
            State.FAILED: ("", Created.UNSAID, error),
        }
        wanted.append((fate, *by_fate.get(fate, ("", Created.UNSAID, ""))))
    with results_of([batch.slice(0, 2), batch.slice(2)], match, folder) as results:
        path = folder / "results.csv"
        results.add_unprocessed(write_file(path, lines[State.UNPROCESSED], COLUMNS, seed=seed))
        results.add_failed(write_file(path, lines[State.FAILED], (ID, ERROR, *COLUMNS), seed=seed))
        results.add_successful(write_file(path, lines[State.SUCCEEDED], (ID, CREATED, *COLUMNS), seed=seed))
        assert shown(results, len(fates)) == wanted
        assert results.strangers == 0


def test_rows_that_nothing_tells_apart_stand_for_each_other(tmp_path: Path) -> None:
    """As many of them as lines speak of them, and no more; a field that is emptied echoes as it was sent."""
    batch = load(["a", "b", "c", "d"], ["Ray", "Ray", CLEAR, None])
    rows = uploaded(batch)
    with results_of([batch], Match(columns=NO_KEY), tmp_path) as results:
        written = [rows[0] | {ID: lead_id(7), CREATED: "true"}, rows[2] | {ID: lead_id(8), CREATED: "true"}]
        results.add_successful(write_file(tmp_path / "s", written, (ID, CREATED, *NO_KEY)))
        results.add_failed(write_file(tmp_path / "f", [rows[1] | {ERROR: "A:b:--"}] * 2, (ERROR, *NO_KEY)))
        found = Counter((state, lead) for state, lead, _, _ in shown(results, 4))
        assert results.strangers == 1
    assert found == {
        (State.SUCCEEDED, lead_id(7)): 1,
        (State.SUCCEEDED, lead_id(8)): 1,
        (State.FAILED, ""): 1,
        (State.SILENT, ""): 1,
    }


def test_keys_compare_as_the_field_does(tmp_path: Path) -> None:
    """Salesforce may echo a key in another letter case, a number in another form, an id with 15 characters."""
    cases = [
        (BY_KEY, [{"External_Id__c": "ABC"}]),
        (Match(columns=("Id",)), [{"Id": lead_id(0)[:15]}]),
    ]
    for match, lines in cases:
        with results_of([load(["aBc"])], match, tmp_path) as results:
            results.add_unprocessed(write_file(tmp_path / "u", lines, match.columns))
            assert shown(results, 1)[0][0] is State.UNPROCESSED


def test_a_row_that_is_named_twice_keeps_its_first_success(tmp_path: Path) -> None:
    """Whatever else is said of it, in whichever file."""
    (row,) = uploaded(load(["a"]))
    twice = [row | {ID: lead_id(number), CREATED: "true"} for number in (1, 2)]
    with results_of([load(["a"])], BY_KEY, tmp_path) as results:
        results.add_failed(write_file(tmp_path / "f", [row | {ERROR: "A:b:--"}], (ERROR, *FIELDS)))
        path = tmp_path / "s"
        path.write_text(f"{ID},{CREATED},{KEY.name}\n" + "".join(f"{line[ID]},{line[CREATED]},a\n" for line in twice))
        results.add_successful(path)
        results.add_unprocessed(write_file(tmp_path / "u", [row], FIELDS))
        assert shown(results, 1) == [(State.SUCCEEDED, lead_id(1), Created.YES, "")]
        assert results.strangers == 0


def test_lines_of_rows_that_were_not_uploaded_are_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They change nothing, and their keys are in no log."""
    lines = [{KEY.name: "secret"}, {KEY.name: ""}]
    with results_of([load(["a"])], BY_KEY, tmp_path) as results, caplog.at_level(logging.WARNING):
        results.add_unprocessed(write_file(tmp_path / "u", lines, [KEY.name]))
        results.add_unprocessed(tmp_path / "u")
        assert results.strangers == 4
        assert [state for state, *_ in shown(results, 1)] == [State.SILENT]
    assert len(caplog.messages) == 1
    assert "secret" not in caplog.text


@pytest.mark.parametrize("content", ["", f"{KEY.name},{ERROR}\n", f'"{KEY.name}","{ERROR}"'])
def test_a_file_without_rows_says_nothing(tmp_path: Path, content: str) -> None:
    """It has a header, or nothing at all."""
    (tmp_path / "f").write_text(content)
    with results_of([load(["a"])], BY_KEY, tmp_path) as results:
        results.add_failed(tmp_path / "f")
        assert shown(results, 1)[0][0] is State.SILENT


def test_a_file_without_the_key_is_no_result(tmp_path: Path) -> None:
    """Better no outcome than a wrong one."""
    (tmp_path / "f").write_text(f"LastName,{ERROR}\nRay,A:b:--\n")
    with (
        results_of([load(["a"])], BY_KEY, tmp_path) as results,
        pytest.raises(ServiceUnavailableError, match="External_Id__c"),
    ):
        results.add_failed(tmp_path / "f")


IDS = st.sampled_from([lead_id(1), lead_id(2)[:15], "0035g00000AbCdEAAV", lead_id(1)[:14], lead_id(1)[:17] + "Z", ""])
ERRORS = st.one_of(
    st.builds(MET.format, st.sampled_from([KEY.name, "Badge__c"]), IDS, st.sampled_from(["", f"{KEY.name} ", "A__c "])),
    st.sampled_from(
        [
            "DUPLICATE_VALUE:Duplicate external id specified: x:External_Id__c --",
            f"DUPLICATE_VALUE:Doppelter Wert: {lead_id(1)}:External_Id__c --",
            f"DUPLICATE_VALUE:duplicate value found: External_Id__c duplicates value on record with id: {lead_id(1)}",
            f"OTHER:duplicate value found: External_Id__c duplicates value on record with id: {lead_id(1)}:--",
            "", "no code", "UNABLE_TO_LOCK_ROW:unable to obtain:--",
        ]
    ),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(errors=st.lists(ERRORS, min_size=1, max_size=8))
def test_a_lead_that_is_met_is_met_for_the_row_code_too(
    tmp_path_factory: pytest.TempPathFactory, errors: list[str]
) -> None:
    """What is decided by the column, the row code would decide; Salesforce's usual words are decided so."""
    folder = tmp_path_factory.mktemp("job")
    batch = load([str(row) for row in range(len(errors))])
    lines = [row | {ERROR: error} for row, error in zip(uploaded(batch), errors, strict=True)]
    with results_of([batch], BY_KEY, folder) as results:
        results.add_failed(write_file(folder / "f", lines, (ERROR, *FIELDS)))
        found = shown(results, len(errors))
    for error, (_, lead, _, text) in zip(errors, found, strict=True):
        assert text == error
        said = row_error(error)
        by_row = duplicate_id(said) if duplicate_fields(said, (KEY.name, "Badge__c")) == {KEY.name} else None
        assert lead in ("", by_row)
        usual = error in {MET.format(KEY.name, lead_id(1), end) for end in ("", f"{KEY.name} ")}
        assert lead or not usual


def test_a_field_whose_uniqueness_says_nothing_meets_no_lead(tmp_path: Path) -> None:
    """An update that takes another lead's key failed."""
    batch = load(["a"])
    line = uploaded(batch)[0] | {ERROR: MET.format(KEY.name, lead_id(1), "")}
    with results_of([batch], BY_KEY, tmp_path, external=None) as results:
        results.add_failed(write_file(tmp_path / "f", [line], (ERROR, *FIELDS)))
        assert shown(results, 1)[0][:2] == (State.FAILED, "")


def test_files_of_many_blocks_are_read_to_their_end(tmp_path: Path) -> None:
    """More than one block, each with its own lines and errors."""
    keys = [f"k{row}" for row in range(20_000)]
    text = "SOME_CODE:" + "x" * 100
    rows = [f"{text}{key},{key}" for key in reversed(keys)]
    (tmp_path / "f").write_text("\n".join([f"{ERROR},{KEY.name}", *rows]))
    with results_of([load(keys)], BY_KEY, tmp_path) as results:
        results.add_failed(tmp_path / "f")
        assert [error for *_, error in shown(results, len(keys))] == [f"{text}{key}" for key in keys]


def test_a_load_is_told_apart_by_what_its_operation_has() -> None:
    """An update by id, others by the external ID, and by all its values where there is none."""
    for kind, external, wanted in (
        (PageKind(operation="update"), KEY, Match(columns=("Id",))),
        (PageKind(operation="insert"), KEY, BY_KEY),
        (PageKind(operation="insert"), None, Match(columns=FIELDS)),
    ):
        assert match_by(kind, external, FIELDS) == wanted


@pytest.mark.parametrize("odd", ["", "../../x", "0015g00000AbCdEEAV", "00Q5g\x00000AbCdEEAV"])
def test_a_written_row_names_its_lead(tmp_path: Path, odd: str) -> None:
    """Else the file is damaged, and what became of its rows is not known yet."""
    batch = load(["K-1"])
    path = write_file(tmp_path / "s.csv", [{**uploaded(batch)[0], ID: odd, CREATED: "true"}], (*COLUMNS, ID, CREATED))
    with results_of([batch], BY_KEY, tmp_path) as results, pytest.raises(ServiceUnavailableError, match="ids are none"):
        results.add_successful(path)


def test_an_error_without_an_end_is_cut(tmp_path: Path) -> None:
    """What is kept of it is more than Salesforce says."""
    batch = load(["K-1"])
    line = {**uploaded(batch)[0], ERROR: "APEX_ERROR:" + "x" * 1_000_000}
    with results_of([batch], BY_KEY, tmp_path) as results:
        results.add_failed(write_file(tmp_path / "f.csv", [line], (*COLUMNS, ID, ERROR)))
        assert len(shown(results, 1)[0][3]) == 10_000


def test_recorded_files_without_a_row_say_nothing(tmp_path: Path) -> None:
    """A header, with its quotes as recorded, and an empty line."""
    texts = {item["of"]: item["text"] for item in sample("bulk/result_files.json")["files"]}
    failed, left = (tmp_path / kind for kind in ("failedResults", "unprocessedrecords"))
    for path in (failed, left):
        path.write_text(texts[path.name], newline="")
    with results_of([load(["a", "b"])], Match(columns=("Id",)), tmp_path) as results:
        results.add_failed(failed)
        results.add_unprocessed(left)
        assert {state for state, *_ in shown(results, 2)} == {State.SILENT}
        assert results.strangers == 0


def test_recorded_errors_of_rows_reach_their_rows(tmp_path: Path) -> None:
    """Headers as uploaded, Salesforce's own in quotes, every cell in quotes."""
    texts = [item["text"] for item in sample("bulk/row_errors.json")["texts"]]
    lines = [f'"","{text}","{key}","Ray"' for text, key in zip(texts, "ab", strict=True)]
    path = tmp_path / "failed"
    path.write_text("\n".join(['"sf__Id","sf__Error",External_Id__c,LastName', *lines]), newline="")
    with results_of([load(["a", "b"])], BY_KEY, tmp_path) as results:
        results.add_failed(path)
        assert [text for *_, text in shown(results, 2)] == texts
