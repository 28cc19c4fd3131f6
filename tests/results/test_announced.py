"""Rows that are about to be sent are written down before, and forgotten when their outcome is known."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_provider_sfleads.results import ResultsFolder
from airflow_provider_sfleads.results.announced import Announcements
from airflow_provider_sfleads.results.digests import digest_of


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """An execution's folder."""
    return ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")


def announced(folder: ResultsFolder) -> set[bytes]:
    """What a later try reads."""
    return set(Announcements(folder, str.lower).digests())


def digests(*keys: str) -> set[bytes]:
    """The digests of keys."""
    return {digest_of(key) for key in keys}


def test_nothing_is_announced_yet(folder: ResultsFolder) -> None:
    """A folder that is not there names no row."""
    assert announced(folder) == set()


def test_each_page_is_kept(folder: ResultsFolder) -> None:
    """The rows of every page are there at once, for whoever comes next, in the form in which keys compare."""
    announce = Announcements(folder, str.lower)
    announce(["A", "b"])
    assert announced(folder) == digests("a", "b")
    announce(["c"])
    assert announced(folder) == digests("a", "b", "c")


def test_pages_of_several_threads(folder: ResultsFolder) -> None:
    """Pages that are announced side by side do not overwrite each other."""
    announce = Announcements(folder, str.lower)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: announce([f"k{number}"]), range(20)))
    assert announced(folder) == digests(*(f"k{number}" for number in range(20)))


def test_no_personal_data_rests_there(folder: ResultsFolder) -> None:
    """The files hold no key."""
    Announcements(folder, str.lower)(["ray@acme.example"])
    (path,) = Path(folder.directory.path).rglob("*.json")
    assert "ray" not in path.read_text()


def test_what_is_unknown_stays(folder: ResultsFolder) -> None:
    """A try that ends keeps only the rows of which nobody knows what became of them, in one file."""
    announce = Announcements(folder, str.lower)
    announce(["a", "b"])
    announce(["c"])
    announce.conclude(digests("b"))
    assert announced(folder) == digests("b")
    assert len(list(Path(folder.directory.path).rglob("*.json"))) == 1


def test_nothing_unknown_leaves_nothing(folder: ResultsFolder) -> None:
    """Where all is known, no folder is left behind; to conclude again changes nothing."""
    announce = Announcements(folder, str.lower)
    announce(["a"])
    for _ in range(2):
        announce.conclude(())
        assert announced(folder) == set()
        assert [path for path in Path(folder.directory.path).rglob("*") if path.is_file()] == []


def test_drafts_do_not_count(folder: ResultsFolder) -> None:
    """A file that a killed worker did not finish is not read: its page was not sent."""
    announce = Announcements(folder, str.lower)
    announce(["a"])
    (path,) = Path(folder.directory.path).rglob("*.json")
    (path.parent / ".half.json.part").write_text('["')
    assert announced(folder) == digests("a")
