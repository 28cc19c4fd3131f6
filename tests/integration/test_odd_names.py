"""Storages at which ``results_path`` has a name that could be read as a pattern; nothing takes it for one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.io.store import attach

from airflow_provider_sfleads.exceptions import ParameterError
from airflow_provider_sfleads.reports import read_reports
from airflow_provider_sfleads.results.files import directory_at
from airflow_provider_sfleads.results.part_rows import Wanted
from airflow_provider_sfleads.results.parts import part_names
from airflow_provider_sfleads.ui.download import as_it_is, for_spreadsheet
from airflow_provider_sfleads.ui.task_results import page_of
from tests.integration.dying import Point, dies
from tests.integration.support import (
    Record,
    Task,
    creating,
    killed,
    killed_at_write,
    leads,
    moving,
    no_retry,
    people,
    run,
)
from tests.literal import LiteralMemory

if TYPE_CHECKING:
    from airflow_provider_sfleads.emulator import EmulatorServer
    from tests.s3 import Lake

pytestmark = pytest.mark.usefixtures("salesforce_conn")

Place = Callable[[str], str]
"""The URL of a folder of that name at a storage."""

# More than are read before two pages are answered, however slow the storage is.
COUNT = 4_000
#: Each with the name of a folder that it stands for as a pattern.
PATTERNS = {"a*b": "a-b", "a[12]b": "a1b"}
ODD = (
    "a*b",
    "a?b",
    "a[12]b",
    "**",
    "a{x,y}b",
    "[!a]",
    "a[b",
    "a b",
    "a#b",
    "a%20b",
    "100%",
    "a+b:c",
    "ü☃",
    "a@b",
    "a;b&c=d",
    "a\\b",
)


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A storage that is empty."""
    if request.param == "disk":
        return lambda name: f"{tmp_path}/{name}"
    if request.param == "memory":
        conn_id = f"store_{secrets.token_hex(4)}"
        attach("memory", conn_id=conn_id, fs=LiteralMemory(skip_instance_cache=True))
        return lambda name: f"memory://{conn_id}@{tmp_path.name}/{name}"
    lake: Lake = request.getfixturevalue("lake")
    return lambda name: f"{lake.url}/res/{name}"


def results_of(report: Mapping[str, Any]) -> dict[str, Record]:
    """The results that a report speaks of, by key."""
    import pyarrow.parquet as pq

    directory = directory_at(report["results_path"])
    found: list[Record] = []
    for name in part_names(directory):
        with directory.open(name) as stream:
            found += pq.read_table(stream).to_pylist()
    assert len(found) == report["read"]
    return {row["key"]: row for row in found}


def files_at(url: str) -> dict[str, bytes]:
    """All files below a folder, with their content."""
    directory = directory_at(url)
    return {path: directory.fs.cat_file(path) for path in directory.fs.find(directory.path)}


@pytest.mark.parametrize(("name", "api"), [(name, ("collections", "bulk")[n % 2]) for n, name in enumerate(ODD)])
def test_every_row_is_sent_and_told_wherever_results_lie(
    emulator: EmulatorServer, place: Place, api: str, name: str
) -> None:
    """Some leads are there, some are new, one is rejected; what a sync leaves behind is results, rejects and report."""
    emulator.seed_leads(leads(people(1)))
    rows = [*people(3), {"key": "K-9", "last": None, "company": "Acme"}]
    ran = run(creating(rows, place(name), api=api, existing="update", max_rejects=1))

    assert (ran.error, ran.counts) == (None, {"created": 2, "unchanged": 1, "rejected": 1})
    assert len(emulator.leads()) == 3
    actions = {key: row["action"] for key, row in results_of(ran.full).items()}
    assert actions == {"K-0": "unchanged", "K-1": "created", "K-2": "created", "K-9": "rejected"}
    left = {path.rpartition("/")[2] for path in files_at(ran.full["results_path"])}
    assert {name for name in left if not name.startswith("results-")} == {"rejects.csv", "report.json"}


@pytest.mark.parametrize("name", ["a*b", "a[12]b"])
@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_name_is_no_pattern_of_other_names(emulator: EmulatorServer, place: Place, api: str, name: str) -> None:
    """What lies in a folder that the name would stand for is neither read nor touched."""
    other, task = place(PATTERNS[name]), Task()
    more: dict[str, Any] = {"api": api, "existing": "update", "changed_only": True}
    run(creating(people(2), other, **more))
    before = files_at(other)
    first = task.run(creating(people(3), place(name), **more))
    again = task.run(creating(people(3), place(name), **more))

    assert first.counts == {"unchanged": 2, "created": 1}
    assert again.counts == {"unchanged": 3}
    assert files_at(other) == before
    assert len(emulator.leads()) == 3


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_leads_are_moved_and_remembered(emulator: EmulatorServer, place: Place, api: str) -> None:
    """The second operator, and what earlier runs confirmed, are found there."""
    emulator.seed_leads(leads(people(5)))
    more: dict[str, Any] = {"api": api, "changed_only": True}
    folder = place("a*[b]?")
    first = Task(run_id="one").run(moving(people(5), folder, **more))
    calls = emulator.stats()["requests"]
    second = Task(run_id="two").run(moving(people(5), folder, **more))

    assert (first.counts, second.counts) == ({"updated": 5}, {"unchanged": 5})
    assert second.full["unchanged_reasons"] == {"same_values": 5}
    # A token and a describe, and in bulk the assignment rule, which has to be readable; nobody is looked up.
    assert emulator.stats()["requests"] - calls == (3 if api == "bulk" else 2)


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_the_names_of_dag_run_and_task_are_none_either(emulator: EmulatorServer, place: Place, api: str) -> None:
    """Airflow takes nearly any run id from a person."""
    folder = place("a*b")
    for run_id in ("manual__2026-11-20T00:00:00+00:00", "all[1] of *?", "50% #2 ü"):
        task = Task(run_id=run_id, dag_id="leads.v2-ü")
        ran = task.run(creating(people(3), folder, api=api, existing="update", changed_only=True, task_id="up-ü.1"))
        assert (ran.error, sum(ran.counts.values())) == (None, 3)
    assert len(emulator.leads()) == 3
    assert [each.problem for each in read_reports(folder)] == [None] * 3


@pytest.mark.parametrize("api", ["collections", "bulk"])
def test_a_killed_worker_is_followed_there(
    emulator: EmulatorServer, place: Place, api: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """What is recorded is not sent again, and what is left is."""
    if "memory" in request.node.callspec.id:
        pytest.skip("what is in memory goes with the process")
    folder, task = place("a*[b]"), Task()
    more: dict[str, Any] = {"api": api, "concurrency": 1}
    if api == "bulk":
        # Of pages, what became of the one under way would be known only after ten minutes.
        more["external_id_field"] = None
        dies(monkeypatch, Point(at="airflow_provider_sfleads.pipeline.staged_pieces:Pieces.remove", before=True))
        killed(creating(people(COUNT), folder, **more), task)
    else:
        killed_at_write(creating(people(COUNT), folder, **more), task, emulator, 2)
    ran = task.run(creating(people(COUNT), folder, **more))

    assert (ran.error, ran.counts, ran.full["attempts"]) == (None, {"created": COUNT}, 2)
    assert emulator.stats()["leads"] == COUNT
    assert len({row["salesforce_id"] for row in results_of(ran.full).values()}) == COUNT
    assert not [path for path in files_at(folder) if "/_s" in path.removeprefix(folder)]


def test_people_read_there_what_became_of_rows(place: Place) -> None:
    """The page, its downloads, and the command that reads reports."""
    folder = place("a[1]*")
    rows = [*people(2), {"key": "=K-9", "last": None, "company": "Acme"}]
    ran = run(creating(rows, folder, max_rejects=1))
    (report,) = read_reports(folder)
    directory = directory_at(ran.full["results_path"])
    page = page_of(directory, Wanted(search="k-1"), offset=0, limit=10)

    assert report.report is not None
    assert report.report.created == 2
    assert (page.total, page.actions) == (1, {"created": 2, "rejected": 1})
    assert b"\n=K-9,," in b"".join(as_it_is(directory))
    assert b"\n'=K-9,," in b"".join(for_spreadsheet(directory))


def test_what_s3_would_take_for_a_version_is_refused(lake: Lake) -> None:
    """Its driver cuts the key off there: all files would become one object."""
    ran = run(creating(people(1), f"{lake.url}/res/a?versionId=1"))
    assert isinstance(ran.error, ParameterError) or no_retry(ran.error)
    assert "?versionId=" in str(ran.error)
    assert lake.keys() == []


def test_a_folder_that_was_made_by_hand_is_no_file(lake: Lake, emulator: EmulatorServer) -> None:
    """S3's console makes one by an object of no bytes, whose key ends in a slash."""
    for key in ("res/", "res/leads/", "res/leads/manual__2026-11-20/"):
        lake.put(key, b"")
    ran = run(creating(people(3), f"{lake.url}/res", changed_only=True))
    again = run(creating(people(3), f"{lake.url}/res", changed_only=True))
    assert (ran.counts, again.counts) == ({"created": 3}, {"unchanged": 3})
    assert len(emulator.leads()) == 3
    assert [each.problem for each in read_reports(f"{lake.url}/res")] == [None]
    assert json.loads(lake.get(f"{ran.full['results_path'].partition(f'{lake.bucket}/')[2]}/report.json"))
