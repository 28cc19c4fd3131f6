# ruff: noqa: TID253 - a test is no Dag file
"""What a sync writes on a local disk is for its user alone, whatever the umask."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from requests import Response
from urllib3 import HTTPResponse

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.pipeline.key_memory import KeyMemory
from airflow_provider_sfleads.pipeline.staged_rows import write_csv
from airflow_provider_sfleads.results.claims import LEASES
from airflow_provider_sfleads.results.earlier import EarlierRows
from airflow_provider_sfleads.results.folder import ResultsFolder, StateFile
from airflow_provider_sfleads.salesforce.body import save_body


@pytest.fixture(params=[0o000, 0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """A umask that the worker runs under."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(root: Path) -> dict[str, int]:
    """The modes of all below a folder that are not what they have to be."""
    found = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in root.rglob("*")}
    assert found
    return {name: mode for name, mode in found.items() if mode != (0o700 if (root / name).is_dir() else 0o600)}


def write(folder: ResultsFolder, *, resume: bool = False) -> None:
    """Write one of each kind of file."""
    folder.begin()
    with folder.writer(columns=("id",), resume=resume, part_rows=1) as writer:
        for number in range(2):
            writer.write(Outcome(key=str(number), action=Action.REJECTED), {"id": str(number)})
        writer.flush()
    folder.write_report({"read": 2})
    folder.write_preview({"rows": []})
    StateFile(folder).set("folder", {"name": "1"})
    with folder.of_dag.child(LEASES).complete("claim.json") as draft:
        draft.write_text("{}")
    with folder.staged().complete("part.arrow") as draft:
        draft.write_bytes(b"")


@pytest.mark.usefixtures("umask")
def test_files_and_folders_are_this_users_alone(tmp_path: Path) -> None:
    """Parts, rejects, report, preview, journal, claims and staged rows; and a results_path that was not there."""
    folder = ResultsFolder(tmp_path / "made" / "results", "dag", "run", "task", -1, "1", process="7")
    write(folder)
    with KeyMemory(folder.staging()) as memory, EarlierRows(folder.staging(), str) as earlier:
        memory.add("a")
        earlier.remember([])
        assert not modes(tmp_path / "made" / "results")
    assert stat.S_IMODE((tmp_path / "made" / "results").stat().st_mode) == 0o700


def test_a_results_path_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    """Its mode is the user's business."""
    tmp_path.chmod(0o2775)
    folder = ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")
    write(folder)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o2775
    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")} == {0o700, 0o600}


def test_what_an_older_version_has_left_is_closed_off(tmp_path: Path) -> None:
    """A try that goes on there, or another task of the Dag, takes it from other users."""
    folder = ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")
    write(folder)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    write(ResultsFolder(tmp_path, "dag", "run", "other", -1, "1"))
    assert stat.S_IMODE((tmp_path / "dag").stat().st_mode) == 0o700
    write(folder, resume=True)
    assert not modes(tmp_path / "dag" / "run" / "task" / "-1" / "1")
    assert not modes(tmp_path)


@pytest.mark.usefixtures("umask")
def test_scratch_files_are_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job uploads, what it answers, and the keys of an export too large for memory."""
    monkeypatch.setattr("airflow_provider_sfleads.pipeline.key_memory.RECENT", 1)
    write_csv([], tmp_path / "load.csv", ["LastName"], by_id=False)
    response = Response()
    response.raw = HTTPResponse(body=BytesIO(b"Id\n"), preload_content=False)
    save_body(response, tmp_path / "page.csv", most=3)
    with KeyMemory(tmp_path) as memory:
        memory.add_many(pa.array(["a", "b"]))
        assert (tmp_path / "keys" / "00000.run").exists()
        assert not modes(tmp_path)
