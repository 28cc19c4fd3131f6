# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io.store import attach
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome, Row
from airflow_provider_sfleads.exceptions import ParameterError, ResultsError
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.recorded import open_rows, recorded_outcomes, settled_rows, tally_of

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8"))


@pytest.fixture(params=["local", "remote"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResultsFolder]:
    """A results folder on this machine's disk, and one on a storage behind a connection."""
    import fsspec  # type: ignore[import-untyped]

    attach("memory", conn_id="results", fs=fsspec.filesystem("memory"))
    base, conn_id = (tmp_path, None) if request.param == "local" else (f"memory://{tmp_path.name}", "results")
    found = ResultsFolder(base, "dag", "manual__2026-01-01T00:00:00+00:00", "task", -1, "1", conn_id=conn_id)
    yield found
    found.remove_staging()


def outcome(number: int, action: Action = Action.CREATED, code: str | None = None) -> Outcome:
    """Return an outcome with a key of its own."""
    return Outcome(key=f"k{number}", action=action, error_code=code, finished_at=NOW)


def names(folder: ResultsFolder) -> list[str]:
    """Return the names of all files in the folder, hidden ones too."""
    directory = folder.directory
    return sorted(path.rpartition("/")[2] for path in directory.fs.find(directory.path))


def read(url: str, conn_id: str | None) -> tuple[tuple[str, ...], list[Row | BadRow]]:
    """Return columns and rows of an export."""
    with FileExport(url, conn_id=conn_id).open() as stream:
        return stream.columns, list(stream.rows)


def rejects(folder: ResultsFolder) -> bytes:
    """Return the rejects file as it is."""
    content: bytes = folder.directory.fs.cat_file(folder.directory.file("rejects.csv"))
    return content


def test_results_have_the_columns_and_types_that_people_build_on(folder: ResultsFolder) -> None:
    """In their order."""
    with folder.writer(columns=("id",)) as writer:
        writer.write(outcome(1))
    with folder.directory.fs.open(folder.directory.file("results-00000.parquet"), "rb") as stream:
        schema = pq.read_schema(stream)
    text = [(name, pa.string()) for name in ("key", "action", "reason", "salesforce_id", "error_code", "error_message")]
    assert schema.equals(
        pa.schema(
            [
                *text,
                ("error_fields", pa.list_(pa.string())),
                ("api", pa.string()),
                ("batch", pa.string()),
                ("attempt", pa.int32()),
                ("finished_at", pa.timestamp("us", tz="UTC")),
                ("contact_id", pa.string()),
                ("old_stage", pa.string()),
                ("new_stage", pa.string()),
                ("lead_url", pa.string()),
            ]
        )
    )


def test_every_field_of_an_outcome_is_read_back(folder: ResultsFolder) -> None:
    """Also by whoever resumes."""
    full = Outcome(
        key="ü\u2028", action=Action.REJECTED, reason="r", salesforce_id="00Q", error_code="C", error_message="m\nn",
        error_fields=("A", "B"), api="bulk", batch="7", attempt=3, finished_at=NOW, contact_id="003", old_stage="a",
        new_stage="b", lead_url="https://x/1",
    )  # fmt: skip
    bare = Outcome(key="", action=Action.FILTERED)
    with folder.writer(columns=()) as writer:
        writer.write(full, {})
        writer.write(bare)
    assert list(recorded_outcomes(folder)) == [full, bare]


def test_parts_roll_and_hold_every_row_once_and_in_order(folder: ResultsFolder) -> None:
    """No part is larger than asked, and nothing else is left in the folder."""
    with folder.writer(columns=("id",), part_rows=3) as writer:
        for number in range(7):
            writer.write(outcome(number))
    parts = [f"results-0000{number}.parquet" for number in range(3)]
    assert names(folder) == ["rejects.csv", *parts]
    assert [row.key for row in recorded_outcomes(folder)] == [f"k{number}" for number in range(7)]
    columns, rows = read(folder.results_url, folder.conn_id)
    assert len(rows) == 7
    assert columns[0] == "key"


def test_large_parts_are_written_in_row_groups(folder: ResultsFolder) -> None:
    """What waits in memory is one group."""
    with folder.writer(columns=("id",)) as writer:
        for number in range(25_001):
            writer.write(outcome(number))
    with folder.directory.fs.open(folder.directory.file("results-00000.parquet"), "rb") as stream:
        file = pq.ParquetFile(stream)
        assert [file.metadata.row_group(group).num_rows for group in range(3)] == [10_000, 10_000, 5_001]


def test_an_execution_without_rows_has_an_empty_part_and_a_header(folder: ResultsFolder) -> None:
    """Whoever reads the results of each day need not ask whether there are any."""
    with folder.writer(columns=("id", "Last Name")):
        pass
    assert names(folder) == ["rejects.csv", "results-00000.parquet"]
    assert list(recorded_outcomes(folder)) == []
    assert read(folder.rejects_url, folder.conn_id) == (("id", "Last Name", "error_code", "error_message"), [])


def test_a_part_that_is_none_of_ours_is_named(tmp_path: Path) -> None:
    """And so is what to do about it, by whatever reads it."""
    folder = ResultsFolder(tmp_path, "d", "r", "t", -1, "1")
    with folder.writer(columns=()) as writer:
        writer.write(Outcome(key="a", action=Action.CREATED))
    pq.write_table(pa.table({"a": [1]}), folder.directory.file("results-00000.parquet"))
    for read in (recorded_outcomes, settled_rows, open_rows):
        with pytest.raises(ResultsError, match="Move the file away"):
            list(read(folder))
    with pytest.raises(ResultsError, match="Move the file away"):
        tally_of(folder)


def test_a_part_has_its_name_only_when_it_is_complete(folder: ResultsFolder) -> None:
    """A worker that is killed leaves whole parts; flush makes one of what is there."""
    writer = folder.writer(columns=("id",)).__enter__()
    for number in range(12_000):
        writer.write(outcome(number))
    assert [name for name in names(folder) if name.startswith("results-")] == []
    writer.flush()
    writer.flush()
    writer.write(outcome(12_000))
    assert [name for name in names(folder) if name.startswith("results-")] == ["results-00000.parquet"]
    assert len(list(recorded_outcomes(folder))) == 12_000
    writer.__exit__(None, None, None)


def test_rejects_are_the_rows_as_they_were_with_the_reason(folder: ResultsFolder) -> None:
    """The first line of the file, and only rejected rows."""
    with folder.writer(columns=("id", "n"), part_rows=2) as writer:
        writer.write(outcome(1, Action.REJECTED, "REQUIRED_FIELD_MISSING"), {"id": "a", "n": None})
        writer.write(outcome(2))
        writer.write(outcome(3, Action.REJECTED), {"id": "b,c", "n": Decimal("1E+3")})
    assert rejects(folder) == (
        b'id,n,error_code,error_message\na,,REQUIRED_FIELD_MISSING,\n"b,c",1000,,\n'
    )  # fmt: skip


def test_rejects_that_are_fed_back_do_not_grow_columns(folder: ResultsFolder) -> None:
    """Their old reason is replaced by the new one."""
    with folder.writer(columns=("error_code", "id", "error_message")) as writer:
        writer.write(outcome(1, Action.REJECTED, "NEW"), {"id": "a", "error_code": "OLD", "error_message": "old"})
    assert rejects(folder) == b"id,error_code,error_message\na,NEW,\n"


def test_values_are_written_so_that_they_read_back(folder: ResultsFolder) -> None:
    """A formula is data here: what a spreadsheet makes of it is not ours to change."""
    values = {
        "formula": "=HYPERLINK(1)", "at": NOW, "day": date(2026, 1, 2), "amount": Decimal("1E-7"), "flag": True,
        "nothing": None, "bytes": b"\x00\xff", "list": [1, Decimal("1.5"), None], "spaces": " a ", "float": 0.1,
    }  # fmt: skip
    with folder.writer(columns=tuple(values)) as writer:
        writer.write(outcome(1, Action.REJECTED), values)
    _, (row,) = read(folder.rejects_url, folder.conn_id)
    assert row == {
        "formula": "=HYPERLINK(1)", "at": "2026-01-02T03:04:05.000006+00:00", "day": "2026-01-02",
        "amount": "0.0000001", "flag": "true", "nothing": "", "bytes": "AP8=", "list": "1;1.5",
        "spaces": " a ", "float": "0.1", "error_code": "", "error_message": "",
    }  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=10), message=TEXT)
def test_any_text_in_a_rejected_row_reads_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], message: str
) -> None:
    """All of Unicode, through two files that this package wrote and read."""
    folder = ResultsFolder(tmp_path_factory.mktemp("any"), "d", "r", "t", -1, "1")
    with folder.writer(columns=("a", "b"), part_rows=3) as writer:
        for a, b in rows:
            line = Outcome(key=a, action=Action.REJECTED, error_message=message)
            writer.write(line, {"a": a, "b": b})
    _, found = read(folder.rejects_url, None)
    assert found == [{"a": a, "b": b, "error_code": "", "error_message": message} for a, b in rows]
    assert [row.key for row in recorded_outcomes(folder)] == [a for a, _ in rows]


def test_half_a_surrogate_pair_costs_no_part(folder: ResultsFolder) -> None:
    """It can come out of a JSON message."""
    with folder.writer(columns=("id",)) as writer:
        line = Outcome(key="k\ud83d", action=Action.REJECTED, error_message="x\ud83d", error_fields=("\udc00",))
        writer.write(line, {"id": "\ud83d"})
    assert [(row.key, row.error_fields) for row in recorded_outcomes(folder)] == [("k?", ("?",))]
    assert rejects(folder).splitlines()[1] == b"?,,x?"


def test_a_killed_try_is_resumed_with_its_parts_and_their_rejects(folder: ResultsFolder) -> None:
    """Rows that were in no complete part are written anew, so their rejects must not be there twice."""
    first = folder.writer(columns=("id",), part_rows=2).__enter__()
    for number in range(3):
        first.write(outcome(number, Action.REJECTED), {"id": number})
    first._rejects.write_piece("results-00001.parquet")  # as far as a kill between piece and part lets it come
    with folder.writer(columns=("id",), resume=True, part_rows=2) as second:
        for number in (2, 3):
            second.write(outcome(number, Action.REJECTED), {"id": number})
    assert [row.key for row in recorded_outcomes(folder)] == ["k0", "k1", "k2", "k3"]
    assert rejects(folder).splitlines()[1:] == [b"0,,", b"1,,", b"2,,", b"3,,"]
    assert names(folder) == ["rejects.csv", "results-00000.parquet", "results-00001.parquet"]


def test_a_try_that_left_rows_unsent_is_resumed_without_them(folder: ResultsFolder) -> None:
    """They get their line from the try that settles them; every other line stays."""
    with folder.writer(columns=("id",)) as writer:
        writer.write(outcome(1, Action.REJECTED), {"id": "a\nb"})
        writer.write(outcome(2, Action.NOT_SENT))
        writer.write(outcome(3))
    with folder.writer(columns=("id",), resume=True) as writer:
        assert [row.key for row in recorded_outcomes(folder)] == ["k1", "k3"]
        writer.write(outcome(2, Action.REJECTED), {"id": "c"})
    assert [row.key for row in recorded_outcomes(folder)] == ["k1", "k3", "k2"]
    assert rejects(folder) == b'id,error_code,error_message\n"a\nb",,\nc,,\n'
    with folder.writer(columns=("id",), resume=True):
        pass
    assert rejects(folder) == b'id,error_code,error_message\n"a\nb",,\nc,,\n'


def test_a_kill_while_the_rejects_are_joined_doubles_none(folder: ResultsFolder) -> None:
    """Before the join is marked the pieces tell the truth, after it the joined file does."""
    with folder.writer(columns=("id",)) as writer:
        writer.write(outcome(1, Action.REJECTED), {"id": "a"})
        writer.flush()
        piece = folder.directory.child("_rejects")
        kept = piece.fs.cat_file(piece.file("results-00000.rejects.csv"))
    for marked in (False, True):
        piece.fs.makedirs(piece.path, exist_ok=True)
        piece.fs.pipe_file(piece.file("results-00000.rejects.csv"), kept)
        if marked:
            piece.fs.pipe_file(piece.file("joined"), b"")
        with folder.writer(columns=("id",), resume=True):
            pass
        assert rejects(folder) == b"id,error_code,error_message\na,,\n"


COLUMN = st.one_of(st.sampled_from(["id", "Last Name", "error_code", " id", "", "n"]), TEXT)
COLUMNS = st.lists(COLUMN, min_size=1, max_size=4, unique_by=lambda name: name.replace("\r", "\n")).map(tuple)


@settings(deadline=None, max_examples=80)
@given(data=st.data(), lists=st.lists(COLUMNS, min_size=2, max_size=3), ends=st.booleans())
def test_each_value_stands_under_its_own_column_whatever_the_next_try_has(
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    lists: list[tuple[str, ...]],
    ends: bool,  # noqa: FBT001
) -> None:
    """Tries of other columns, killed or not, add to one file; what a row has no column for is empty."""
    folder = ResultsFolder(tmp_path_factory.mktemp("any"), "d", "r", "t", -1, "1")
    wanted: list[dict[str, str]] = []
    for number, columns in enumerate(lists):
        values = {name: data.draw(TEXT) for name in columns}
        writer = folder.writer(columns=columns, resume=number > 0).__enter__()
        writer.write(outcome(number, Action.REJECTED, f"CODE_{number}"), values)
        writer.flush()
        wanted.append({**values, "error_code": f"CODE_{number}", "error_message": ""})
        if ends or number == len(lists) - 1:
            writer.__exit__(None, None, None)
    with folder.directory.fs.open(folder.directory.file("rejects.csv"), "r", encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert [{name: value for name, value in row.items() if value} for row in found] == [
        {name: value for name, value in row.items() if value} for row in wanted
    ]


def test_an_execution_that_is_not_resumed_starts_anew(folder: ResultsFolder) -> None:
    """Nothing of the earlier one is left."""
    with folder.writer(columns=("id",), part_rows=1) as writer:
        for number in range(3):
            writer.write(outcome(number, Action.REJECTED), {"id": "old"})
    if folder.directory.is_local:
        folder.directory.new_draft("results-00007.parquet").touch()
    with folder.writer(columns=("id",)):
        pass
    assert names(folder) == ["rejects.csv", "results-00000.parquet"]
    assert list(recorded_outcomes(folder)) == []
    assert rejects(folder) == b"id,error_code,error_message\n"


def test_what_is_settled_stays_recorded_when_an_error_ends_the_sync(folder: ResultsFolder) -> None:
    """Whoever is on call sees how far it came."""

    def fail() -> None:
        with folder.writer(columns=("id",)) as writer:
            writer.write(outcome(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [row.key for row in recorded_outcomes(folder)] == ["k1"]


def test_settled_rows_are_those_whose_state_in_salesforce_is_known(folder: ResultsFolder) -> None:
    """With the stage that the lead stands at now."""
    with folder.writer(columns=()) as writer:
        for number, action in enumerate(Action):
            line = outcome(number, action)
            writer.write(line, {})
        writer.write(Outcome(key="x", action=Action.UPDATED, salesforce_id="00Q", old_stage="New", new_stage="MQL"))
        writer.write(Outcome(key="y", action=Action.UNCHANGED, old_stage="SQL"))
    rows = [row for batch in settled_rows(folder) for row in batch.to_pylist()]
    found = {row["key"]: (row["action"], row["stage"]) for row in rows}
    assert found == {
        "k2": ("unchanged", None), "k3": ("created", None), "k4": ("updated", None),
        "x": ("updated", "MQL"), "y": ("unchanged", "SQL"),
    }  # fmt: skip


def test_the_report_is_plain_json_beside_the_results(folder: ResultsFolder) -> None:
    """For people and programs."""
    url = folder.write_report({"read": 1, "name": "ü", "at": date(2026, 1, 2)})
    assert url == folder.report_url
    text = ObjectStoragePath(url, conn_id=folder.conn_id).read_text(encoding="utf-8")
    assert text.startswith('{\n  "read": 1,\n  "name": "ü"')
    assert json.loads(text)["at"] == "2026-01-02"
    assert names(folder) == ["report.json"]


def test_urls_lead_airflow_to_the_files(folder: ResultsFolder) -> None:
    """They go into the report and into links."""
    with folder.writer(columns=("id",)):
        pass
    assert ObjectStoragePath(folder.rejects_url).read_text().startswith("id,")
    assert ObjectStoragePath(folder.url).is_dir()
    assert "/dag/manual__2026-01-01T00:00:00+00:00/task/-1/1/rejects.csv" in folder.rejects_url


def test_staging_is_the_same_private_folder_for_each_try_until_it_is_removed(folder: ResultsFolder) -> None:
    """A retry finds what it needs, others do not."""
    path = folder.staging()
    (path / "x").write_text("y")
    assert folder.staging() == path
    assert path.stat().st_mode & 0o777 == 0o700
    assert ("_staging" in path.parts) == folder.directory.is_local
    folder.remove_staging()
    assert not path.exists()
    folder.remove_staging()


def test_no_id_leads_out_of_the_results_path(tmp_path: Path) -> None:
    """Run ids can be chosen by whoever may trigger a Dag."""
    seen = set()
    for evil in ("..", "../../etc", "/etc", "a/../b", "", ".", "a\x00b", "a?b", "a#b", "x" * 300, "a_b", "a*b"):
        path = Path(ResultsFolder(tmp_path, evil, "run", "task", 0, "1").directory.path)
        assert path.relative_to(tmp_path).parts[1:] == ("run", "task", "0", "1")
        assert ".." not in path.parts
        seen.add(path)
        path.mkdir(parents=True)
    assert len(seen) == 12


@pytest.mark.parametrize(("base", "message"), [("", "results_path is empty"), ("nowhere://x", "nowhere")])
def test_a_results_path_that_cannot_be_used_is_an_error(base: str, message: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ParameterError, match=message):
        ResultsFolder(base, "d", "r", "t", -1, "1").url  # noqa: B018 - asking for it is the test


def test_a_signal_leaves_no_part_half_done(folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, or the end of ``execution_timeout``, strikes while a part is completed: each row is there once."""
    close = pq.ParquetWriter.close
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(parquet: pq.ParquetWriter) -> None:
        monkeypatch.setattr(pq.ParquetWriter, "close", close)
        close(parquet)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(pq.ParquetWriter, "close", interrupted)
    try:
        with folder.writer(columns=("id",)) as writer:
            writer.write(outcome(1))
            with pytest.raises(KeyboardInterrupt):
                writer.flush()
            writer.write(outcome(2))
            writer.flush()
    finally:
        signal.signal(signal.SIGINT, before)
    assert [row.key for row in recorded_outcomes(folder)] == ["k1", "k2"]
