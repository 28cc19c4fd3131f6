"""Rows that are about to be sent are written down before, and forgotten when their outcome is known."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_provider_sfleads.core.outcome import UnansweredSend
from airflow_provider_sfleads.results.announced import Announcements, digest_of
from airflow_provider_sfleads.results.folder import ResultsFolder

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE = UnansweredSend.at(NOON, "005000000000001AAA")


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """An execution's folder."""
    return ResultsFolder(tmp_path, "dag", "run", "task", -1, "1")


def announced(folder: ResultsFolder) -> set[bytes]:
    """What a later try reads."""
    return {digest for digest, _ in Announcements(folder, str.lower).rows()}


def announce(folder: ResultsFolder, keys: Sequence[str], doubt: UnansweredSend = ONE) -> Announcements:
    """Announce rows."""
    announcements = Announcements(folder, str.lower)
    announcements.announce(((key, "") for key in keys), doubt)
    return announcements


def digests(*keys: str) -> set[bytes]:
    """The digests of keys."""
    return {digest_of(key) for key in keys}


def test_nothing_is_announced_yet(folder: ResultsFolder) -> None:
    """A folder that is not there names no row."""
    assert announced(folder) == set()


def test_each_page_is_kept(folder: ResultsFolder) -> None:
    """The rows of every page are there at once, for whoever comes next, in the form in which keys compare."""
    announce(folder, ["A", "b"])
    assert announced(folder) == digests("a", "b")
    announce(folder, ["c"])
    assert announced(folder) == digests("a", "b", "c")


def test_pages_of_several_threads(folder: ResultsFolder) -> None:
    """Pages that are announced side by side do not overwrite each other."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: announce(folder, [f"k{number}"]), range(20)))
    assert announced(folder) == digests(*(f"k{number}" for number in range(20)))


def test_no_personal_data_rests_there(folder: ResultsFolder) -> None:
    """The files hold no key."""
    announce(folder, ["ray@acme.example"])
    (path,) = Path(folder.directory.path).rglob("*.json")
    assert "ray" not in path.read_text()


def test_what_is_unknown_stays(folder: ResultsFolder) -> None:
    """A try that ends keeps only the rows of which nobody knows what became of them, in one file."""
    announce(folder, ["a", "b"])
    announce(folder, ["c"]).conclude((digest, ONE) for digest in digests("b"))
    assert announced(folder) == digests("b")
    assert len(list(Path(folder.directory.path).rglob("*.json"))) == 1


def test_nothing_unknown_leaves_nothing(folder: ResultsFolder) -> None:
    """Where all is known, no folder is left behind; to conclude again changes nothing."""
    announcements = announce(folder, ["a"])
    for _ in range(2):
        announcements.conclude(())
        assert announced(folder) == set()
        assert [path for path in Path(folder.directory.path).rglob("*") if path.is_file()] == []


def test_drafts_do_not_count(folder: ResultsFolder) -> None:
    """A file that a killed worker did not finish is not read: its page was not sent."""
    announce(folder, ["a"])
    (path,) = Path(folder.directory.path).rglob("*.json")
    (path.parent / ".half.json.part").write_text('["')
    assert announced(folder) == digests("a")


def test_time_and_user_are_kept(folder: ResultsFolder) -> None:
    """What is unknown is kept with when it was sent, and by whom; rows of several sendings one by one."""
    other = UnansweredSend.at(NOON + timedelta(minutes=3), "005000000000002AAA", ["who"]) | ONE
    announcements = announce(folder, ["a"])
    announcements.conclude([(digest_of("a"), ONE), (digest_of("b"), other), (digest_of("c"), other)])
    found = dict(Announcements(folder, str.lower).rows())
    assert found == {digest_of("a"): ONE, digest_of("b"): other, digest_of("c"): other}
    assert (other.since, other.last, len(other.user_ids)) == (NOON, NOON + timedelta(minutes=3), 2)
