# ruff: noqa: TID253 - a test is no Dag file
from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import FileExport
from airflow_provider_sfleads.exports.file_export import listed

if TYPE_CHECKING:
    from tests.s3 import Lake

NAMES = ["a", "_a", ".a", "dt=1", "a_b"]
PATHS = [*NAMES, *map("/".join, product(NAMES, NAMES)), *map("/".join, product(NAMES, NAMES, NAMES))]


def ids(path: Path | str, **kwargs: Any) -> list[object]:
    """Return the ids of the rows at a path."""
    with FileExport(path, **kwargs).open() as stream:
        return [row["id"] for row in stream.rows]  # type: ignore[index]


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def parquet(*values: str) -> bytes:
    """Return a Parquet file of ids."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": list(values)}), sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


@pytest.mark.parametrize(
    "unfinished",
    [
        "_tmp.csv",
        ".part-0.csv.crc.csv",
        "_temporary/0/task_0/part-1.csv",
        ".impala_insert_staging/x.csv",
        "_delta_log/0.csv",
        "dt=1/_temporary/part-1.csv",
        "dt=1/.hive-staging_1/-ext-10000/part-1.csv",
        "dt=1/_started.csv",
    ],
)
def test_globs_pass_over_what_folders_pass_over(tmp_path: Path, unfinished: str) -> None:
    """What a failed or unfinished attempt left behind is no part of the export."""
    written(tmp_path, {"a.csv": b"id\n1\n", "dt=1/b.csv": b"id\n2\n", unfinished: b"id\n9\n"})
    assert ids(tmp_path / "**" / "*.csv") == ["1", "2"]
    assert ids(tmp_path / "*.csv") == ["1"]
    assert ids(tmp_path / "dt=?" / "*.csv") == ["2"]
    assert ids(tmp_path) == ["1"]


def test_a_path_that_names_it_reads_what_begins_with_an_underscore(tmp_path: Path) -> None:
    """By its name, in a pattern, as the folder that is asked for, and above it."""
    written(tmp_path, {"_out/_a.csv": b"id\n1\n", "_out/b.csv": b"id\n2\n", "_out/_in/c.csv": b"id\n3\n"})
    assert ids(tmp_path / "_out" / "_a.csv") == ["1"]
    assert ids(tmp_path / "_out") == ["2"]
    assert ids(tmp_path / "_out" / "*.csv") == ["2"]
    assert ids(tmp_path / "_out" / "_*.csv") == ["1"]
    assert ids(tmp_path / "_o*" / "*.csv") == ["2"]
    assert ids(tmp_path / "_out" / "**" / "_in" / "*.csv") == ["3"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(PATHS), min_size=1, max_size=6, unique=True))
def test_no_file_below_a_folder_is_read_whose_way_is_hidden(paths: list[str]) -> None:
    """By whatever glob that does not say so; every other file is."""
    fs = fsspec.filesystem("memory", skip_instance_cache=True)
    fs.store, fs.pseudo_dirs = {}, [""]
    for path in paths:
        fs.pipe_file(f"/x/{path}/part.csv", b"")
    seen = [path for path in paths if not any(part.startswith((".", "_")) for part in path.split("/"))]
    try:
        assert listed(fs, "/x/**/*.csv", "x") == sorted(f"/x/{path}/part.csv" for path in seen)
    except ExportError:
        assert not seen


def test_a_relative_glob_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a hidden folder, too, where that is where the process works."""
    written(tmp_path, {".work/p/a.csv": b"id\n1\n", ".work/p/_b.csv": b"id\n2\n"})
    monkeypatch.chdir(tmp_path / ".work")
    assert ids("p/*.csv") == ["1"]
    assert ids("p") == ["1"]


def test_files_that_are_all_passed_over_are_told(tmp_path: Path) -> None:
    """'No file' alone would send people looking for them."""
    written(tmp_path, {"_a.csv": b"id\n1\n", "_t/b.csv": b"id\n1\n"})
    with pytest.raises(ExportError, match=r"No file at .*, but 1 whose name, .* '\.' or '_', such as '_a.csv'\."):
        ids(tmp_path)
    with pytest.raises(ExportError, match=r"No file at .*, but 2 whose name"):
        ids(tmp_path / "**" / "*.csv")


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("dt=2026-03-05/part-0.snappy.parquet", ".parquet"),
        ("dt=2026-03-05/hour=1/part-0.csv.gz", ".csv.gz"),
        ("2026/03/05/day.jsonl", ".jsonl"),
    ],
)
def test_a_folder_of_sub_folders_names_the_glob_that_reads_them(tmp_path: Path, name: str, ending: str) -> None:
    """Spark's partitionBy leaves nothing but such folders and _SUCCESS."""
    folder = written(tmp_path / "leads", {name: b"", "_SUCCESS": b"", "_temporary/0/part.csv": b""})
    for asked in (folder, f"{folder}/", f"file://{folder}", folder / "*", folder / f"*{ending}"):
        with pytest.raises(ExportError, match=rf"sub-folders \('{name}'\).* say '.*leads/\*\*/\*{ending}'"):
            ids(asked)


def test_folders_without_a_file_below_are_not_offered(tmp_path: Path) -> None:
    """Nothing would be read of them."""
    (tmp_path / "dt=1").mkdir()
    with pytest.raises(ExportError, match="was written"):
        ids(tmp_path)


@pytest.fixture
def storage() -> Iterator[Callable[[dict[str, bytes]], str]]:
    """Write objects into a store that lists the objects that stand for folders, and return its URL."""
    from airflow.sdk.io.store import attach

    class Store(fsspec.get_filesystem_class("memory")):  # type: ignore[misc]
        """Memory, whose objects may end with a slash, as those of S3 may."""

        store: dict[str, Any] = {}  # noqa: RUF012 - a store of its own, not that of all others
        pseudo_dirs = [""]  # noqa: RUF012

        def ls(self, path: str, detail: bool = True, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002, ANN401
            """List the folder's own object, too."""
            found = super().ls(path, detail=True, **kwargs)
            found.append({"name": f"{self._strip_protocol(path)}/", "size": 0, "type": "file"})
            return found if detail else [entry["name"] for entry in found]

    fs = Store(skip_instance_cache=True)
    attach("memory", conn_id="folders", fs=fs)

    def filled(files: dict[str, bytes]) -> str:
        for name, content in files.items():
            fs.pipe_file(f"/lake/{name}", content)
        return "memory://folders@lake"

    yield filled
    fs.store.clear()


def test_an_object_that_stands_for_a_folder_is_no_file(storage: Callable[[dict[str, bytes]], str]) -> None:
    """The console of S3 makes 'exp/', Hadoop 'exp_$folder$'."""
    url = storage({"exp/a.csv": b"id\n1\n", "exp/in_$folder$": b"", "exp/in/b.csv": b"id\n2\n"})
    assert ids(f"{url}/exp") == ["1"]
    assert ids(f"{url}/exp/") == ["1"]
    assert ids(f"{url}/exp/*") == ["1"]
    assert ids(f"{url}/exp/**") == ["1", "2"]
    assert ids(f"{url}/exp/**/*.csv") == ["1", "2"]


def test_an_empty_object_of_the_very_name_of_a_folder_is_no_file(lake: Lake) -> None:
    """Hadoop's Azure driver, and tools that copy from there, stand such a one for the folder, without a slash."""
    for key, content in {"exp": b"", "exp/a.csv": b"id\n1\n", "exp/in": b"", "exp/in/b.csv": b"id\n2\n"}.items():
        lake.put(key, content)
    assert ids(f"{lake.url}/exp") == ["1"]
    assert ids(f"{lake.url}/exp/*") == ["1"]
    assert ids(f"{lake.url}/exp/**") == ["1", "2"]


def test_a_file_that_has_the_name_of_a_folder_is_read(lake: Lake) -> None:
    """Whatever lies below it, as far as it holds anything; and an empty file alone is said to be empty."""
    for key, content in {"a.csv": b"id\n1\n", "a.csv/part-0.csv": b"id\n2\n", "none.csv": b""}.items():
        lake.put(key, content)
    assert ids(f"{lake.url}/a.csv") == ["1"]
    with pytest.raises(ExportError, match="it is empty"):
        ids(f"{lake.url}/none.csv")


def test_a_folder_of_nothing_but_its_own_object_holds_no_file(storage: Callable[[dict[str, bytes]], str]) -> None:
    """It was made, and nothing was written to it."""
    url = storage({"exp/in_$folder$": b""})
    with pytest.raises(ExportError, match=r"No file at .*was written"):
        ids(f"{url}/exp")


@pytest.mark.parametrize(
    ("ending", "full"),
    [
        (".csv", b"id\n1\n"),
        (".csv.gz", gzip.compress(b"id\n1\n")),
        (".csv.zst", zstandard.compress(b"id\n1\n")),
        (".jsonl", b'{"id": "1"}\n'),
        (".jsonl.gz", gzip.compress(b'{"id": "1"}\n')),
        (".parquet", parquet("1")),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_empty_file_beside_others_is_a_part_without_rows(
    tmp_path: Path,
    ending: str,
    full: bytes,
    packed: bool,  # noqa: FBT001 - given by pytest
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a byte on the disk or, packed, without one inside; first, in the middle or last."""
    empty = gzip.compress(b"") if packed and ending.endswith("gz") else b""
    parts = {f"{n}{ending}": full if n in (1, 3) else empty for n in range(5)}
    with caplog.at_level(logging.WARNING):
        assert ids(written(tmp_path, parts)) == ["1", "1"]
    assert "3 of 5 files are empty, such as" in caplog.text
    assert f"0{ending}" in caplog.text


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("ending", "problem"),
    [(".csv", "has no header line"), (".csv.gz", "has no header line"), (".parquet", "is no Parq")],
)
def test_empty_files_alone_are_an_error(tmp_path: Path, ending: str, problem: str, count: int) -> None:
    """A writer that died before its first byte must not look like a day without leads."""
    written(tmp_path, {f"{n}{ending}": b"" for n in range(count)})
    others = ", and so are the 2 others" if count > 1 else ""
    with pytest.raises(ExportError, match=rf"0{ending} {problem}.*: it is empty{others}\. An export"):
        ids(tmp_path)


def test_empty_files_of_json_lines_are_a_day_without_leads(tmp_path: Path) -> None:
    """They have no header, so that this is what no rows look like."""
    assert ids(written(tmp_path, {"a.jsonl": b"", "b.jsonl": b""})) == []
