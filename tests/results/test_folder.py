"""The folder of an execution: that it exists is known, and what it publishes outlasts a power failure."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from airflow.sdk.io.store import attach

from airflow_provider_sfleads.core.outcome import Action, BadRow, Outcome
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.results.folder import ResultsFolder


def folder(base: str | Path, execution: str = "1") -> ResultsFolder:
    """The folder of an execution."""
    import fsspec  # type: ignore[import-untyped]

    attach("memory", conn_id="store", fs=fsspec.filesystem("memory"))
    return ResultsFolder(base=str(base), dag_id="dag", run_id="run", task_id="task", map_index=-1, execution=execution)


@pytest.mark.parametrize("is_local", [True, False])
def test_a_folder_exists_from_its_beginning_on(tmp_path: Path, *, is_local: bool) -> None:
    """Here and at object storage, before anything is recorded; a second try begins it again, and that is harmless."""
    base = tmp_path if is_local else f"memory://store@{tmp_path.name}"
    assert not folder(base).exists
    for _ in range(2):
        folder(base).begin()
        assert folder(base).exists
    assert [other.execution for other in folder(base, "2").others()] == ["1"]
    folder(base).directory.remove_all()
    assert not folder(base).exists


def test_a_folder_exists_where_only_something_else_is_left(tmp_path: Path) -> None:
    """Rows on their way, or a report."""
    folder(tmp_path).staging()
    folder(tmp_path, "2").write_report({})
    assert folder(tmp_path).exists
    assert folder(tmp_path, "2").exists


def test_dry_executions_are_no_others(tmp_path: Path) -> None:
    """They sent nothing; but they know of the live ones."""
    for name in ("1", "2-dry-run", "3"):
        folder(tmp_path, name).begin()
    assert [other.execution for other in folder(tmp_path, "3").others()] == ["1"]
    assert [other.execution for other in folder(tmp_path, "2-dry-run").others()] == ["1", "3"]


def test_a_name_is_as_durable_as_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is synchronised once the file is there under its name."""
    directory = folder(tmp_path).directory
    there: list[bool] = []

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").resolve() == Path(directory.path):
            there.append(directory.has("a"))

    monkeypatch.setattr(os, "fsync", fsync)
    with directory.complete("a") as draft:
        draft.write_text("x")
    assert there == [True]


@pytest.mark.parametrize(("code", "passes"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_directory_that_cannot_be_synchronised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, passes: bool
) -> None:
    """Some file systems have no such call; an error of the disk is one."""
    directory = folder(tmp_path).directory

    def fsync(handle: int) -> None:
        if Path(f"/proc/self/fd/{handle}").is_dir():
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fsync)
    draft = directory.new_draft("a")
    draft.touch()
    if passes:
        directory.publish(draft, "a")
    else:
        with pytest.raises(OSError, match=os.strerror(code)):
            directory.publish(draft, "a")
    assert directory.has("a")


@pytest.mark.parametrize("name", ["a*b", "a?b", "a[x]b"])
def test_the_glob_of_the_results_takes_the_folder_for_a_name(tmp_path: Path, name: str) -> None:
    """Somebody reads the results of this run, and of no other whose folder the name would stand for."""
    for each in (name, "axb"):
        with folder(tmp_path / each).writer(columns=["id"]) as writer:
            writer.write(Outcome(key=each, action=Action.CREATED))
    with FileExport(folder(tmp_path / name).results_url).open() as stream:
        assert [dict(row)["key"] for row in stream.rows if not isinstance(row, BadRow)] == [name]
