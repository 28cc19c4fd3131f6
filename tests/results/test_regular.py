"""What bears the name of a file below ``results_path`` and is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_sfleads.results.files import directory_at


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["link", "pipe", "link to a pipe", "folder"])
def test_what_is_no_file_is_neither_there_nor_read(tmp_path: Path, kind: str) -> None:
    """By none of the ways in which a worker, the page or the command reads; and nobody waits for it."""
    (tmp_path / "secret").write_text("secret")
    os.mkfifo(tmp_path / "pipe")
    folder = tmp_path / "results"
    folder.mkdir()
    file = folder / "report.json"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / ("pipe" if "pipe" in kind else "secret"))
    directory = directory_at(str(folder))
    assert not directory.has("report.json")
    assert directory.names() == []
    assert isinstance(directory.read_many({"report.json": 10})["report.json"], OSError)
    for read in (directory.open, directory.read):
        with pytest.raises(OSError, match=r"report\.json"):
            read("report.json")


def test_a_results_path_that_is_a_link_is_none_of_that(tmp_path: Path) -> None:
    """People may have it where they like."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "report.json").write_text("{}")
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    directory = directory_at(str(tmp_path / "results"))
    assert (directory.link_problem, directory.read("report.json")) == (None, b"{}")
    assert directory.has("report.json")
    (tmp_path / "disk" / "dag").symlink_to(tmp_path)
    assert "A link leads to" in str(directory.child("dag").child("run").link_problem)
