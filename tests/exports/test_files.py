# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import gzip
from os import PathLike
from pathlib import Path
from typing import Any

import pytest
import zstandard
from airflow.sdk import ObjectStoragePath

from airflow_provider_sfleads.exceptions import ExportError, ParameterError
from airflow_provider_sfleads.exports import FileExport

from .conftest import Read


def ids(path: str | PathLike[str] | ObjectStoragePath, **kwargs: Any) -> list[object]:
    """Return the ids of the rows at a path."""
    with FileExport(path, **kwargs).open() as stream:
        return [row["id"] for row in stream.rows]  # type: ignore[index]


def test_a_folder_is_read_in_name_order_without_hidden_files_and_markers(tmp_path: Path) -> None:
    """Spark writes _SUCCESS and .crc files beside its parts."""
    for name, content in {"b.csv": "id\n2\n", "a.csv": "id\n1\n", "_SUCCESS": "", ".a.csv.crc": "x"}.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.csv").write_text("id\n3\n")
    assert ids(tmp_path) == ["1", "2"]
    assert ids(f"{tmp_path}/") == ["1", "2"]
    assert ids(f"file://{tmp_path}") == ["1", "2"]


def test_a_glob_is_read_in_name_order_and_may_cross_folders(tmp_path: Path) -> None:
    """Partitions of a lake."""
    for day in ("2026-01-02", "2026-01-01"):
        (tmp_path / f"day={day}").mkdir()
        (tmp_path / f"day={day}" / "part.csv").write_text(f"id\n{day}\n")
    assert ids(f"{tmp_path}/day=*/part.csv") == ["2026-01-01", "2026-01-02"]
    assert ids(f"{tmp_path}/**/*.csv") == ["2026-01-01", "2026-01-02"]
    assert ids(f"{tmp_path}/day=2026-01-0[2-9]/*") == ["2026-01-02"]


def test_a_name_that_looks_like_a_glob_is_taken_as_it_is_where_it_exists(tmp_path: Path) -> None:
    """Brackets are common in file names that people give."""
    (tmp_path / "leads [1].csv").write_text("id\n1\n")
    assert ids(tmp_path / "leads [1].csv") == ["1"]


@pytest.mark.parametrize("name", ["missing.csv", "*.csv", ""])
def test_no_file_is_an_error(tmp_path: Path, name: str) -> None:
    """A day whose export was never written must not look like a day without leads."""
    with pytest.raises(ExportError, match=r"No file at .*was written"):
        ids(f"{tmp_path}/{name}")


def test_files_of_an_unknown_format_are_an_error_unless_the_format_is_said(tmp_path: Path) -> None:
    """To pass over them would lose rows without a word."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    (tmp_path / "b.txt").write_text("id\n2\n")
    with pytest.raises(ExportError, match=r"b.txt is of no format that can be read: CSV .*Say format="):
        ids(tmp_path)
    assert ids(tmp_path, format="csv") == ["1", "2"]
    assert ids(f"{tmp_path}/*.csv") == ["1"]


def test_two_formats_in_one_folder_are_an_error(tmp_path: Path) -> None:
    """They may be the same rows twice."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    (tmp_path / "a.jsonl").write_text('{"id": "1"}\n')
    with pytest.raises(ExportError, match=r"different formats: .*a.csv \(csv\) and .*a.jsonl \(jsonl\)"):
        ids(tmp_path)


def test_columns_that_do_not_agree_are_an_error_before_the_first_row(tmp_path: Path) -> None:
    """Nothing is sent of an export that is not whole."""
    (tmp_path / "a.csv").write_text("id,n\n1,2\n")
    (tmp_path / "b.csv").write_text("id,m\n1,2\n")
    message = r"b.csv lacks 'n' and has 'm' in addition, compared with .*a.csv"
    with pytest.raises(ExportError, match=message), FileExport(tmp_path).open():
        pytest.fail("opened")


def test_columns_may_come_in_another_order(tmp_path: Path) -> None:
    """Names count."""
    (tmp_path / "a.csv").write_text("id,n\n1,2\n")
    (tmp_path / "b.csv").write_text("n,id\n4,3\n")
    with FileExport(tmp_path).open() as stream:
        assert [list(dict(row).items()) for row in stream.rows] == [  # type: ignore[arg-type]
            [("id", "1"), ("n", "2")],
            [("id", "3"), ("n", "4")],
        ]


def test_keys_of_json_lines_are_joined_over_all_files(tmp_path: Path) -> None:
    """A key that is null in a whole file is absent from it."""
    (tmp_path / "a.jsonl").write_text('{"id": "1"}\n')
    (tmp_path / "b.jsonl").write_text('{"id": "2", "n": 3}\n')
    with FileExport(tmp_path).open() as stream:
        assert stream.columns == ("id", "n")
        assert list(stream.rows) == [{"id": "1", "n": None}, {"id": "2", "n": 3}]


@pytest.mark.parametrize("name", ["leads.csv.gz", "leads.csv.zst", "LEADS.CSV.GZ"])
def test_compressed_files_are_read_also_where_they_are_joined_ones(read: Read, name: str) -> None:
    """`cat a.gz b.gz` is one file to everybody."""
    pack = gzip.compress if name.lower().endswith("gz") else zstandard.ZstdCompressor().compress
    assert read(pack(b"id\n1\n") + pack(b"2\n"), name)[1] == [{"id": "1"}, {"id": "2"}]


@pytest.mark.parametrize("name", ["leads.jsonl.gz", "leads.jsonl.zst"])
def test_a_cut_off_compressed_file_is_an_error(read: Read, name: str) -> None:
    """The rows after the cut would be lost without a word."""
    pack = gzip.compress if name.endswith("gz") else zstandard.ZstdCompressor().compress
    whole = pack(b"".join(b'{"id": "%d"}\n' % (number * 7919) for number in range(90_000)))
    with pytest.raises(ExportError, match=rf"{name} .*(cut-off|Truncated)"):
        read(whole[:-9], name)


@pytest.mark.parametrize("name", ["leads.csv.gz", "leads.csv.zst"])
def test_a_file_that_is_not_compressed_as_it_says_is_an_error(read: Read, name: str) -> None:
    """Somebody renamed it."""
    with pytest.raises(ExportError, match=name):
        read(b"id\n1\n", name)


def test_a_compressed_parquet_file_is_an_error(read: Read) -> None:
    """It cannot be read as a stream."""
    with pytest.raises(ExportError, match="compressed inside"):
        read(b"", "leads.parquet.gz")


def test_a_path_may_be_any_kind_of_path(tmp_path: Path) -> None:
    """Text, a path of the standard library, a path of Airflow."""
    (tmp_path / "a.csv").write_text("id\n1\n")
    assert ids(str(tmp_path / "a.csv")) == ids(tmp_path / "a.csv") == ids(ObjectStoragePath(f"file://{tmp_path}/a.csv"))


def test_remote_storage_is_read_through_its_connection(remote_storage: str) -> None:
    """A file, a folder, a glob; with the connection as a parameter or in the URL."""
    folder = ObjectStoragePath(f"{remote_storage}/exports", conn_id="store")
    for name in ("a.csv", "b.csv"):
        folder.fs.pipe_file(f"{folder.path}/{name}", f"id\n{name}\n".encode())
    url = f"{remote_storage}/exports"
    assert ids(f"{url}/a.csv", conn_id="store") == ["a.csv"]
    assert ids(url, conn_id="store") == ["a.csv", "b.csv"]
    assert ids(f"{url}/*.csv", conn_id="store") == ["a.csv", "b.csv"]
    assert ids("memory://store@bucket/exports/b.csv") == ["b.csv"]
    assert ids(folder / "b.csv") == ["b.csv"]


def test_storage_that_no_provider_serves_is_an_error() -> None:
    """With the scheme in it."""
    with pytest.raises(ExportError, match="nowhere"):
        ids("nowhere://bucket/leads.csv")


def test_an_unknown_format_is_an_error() -> None:
    """It can come out of a template."""
    with pytest.raises(ParameterError, match="format must be one of csv, jsonl, parquet"):
        ids("leads.csv", format="excel")


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    """Here: a loop of links, which fails for root as well."""
    (tmp_path / "a.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(ExportError, match=r"a.csv"):
        ids(tmp_path / "a.csv")


def test_files_are_closed_when_the_export_is_left(tmp_path: Path) -> None:
    """Also in the middle of a file; an unclosed file would be a warning, and warnings fail tests."""
    (tmp_path / "a.csv").write_text("id\n" + "1\n" * 100_000)
    with FileExport(tmp_path).open() as stream:
        next(stream.rows)
    assert list(stream.rows) == []
