"""Export the rows of files: of which format each is, and whether their columns agree."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BufferedReader
from os import PathLike
from posixpath import basename, splitext
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_sfleads.exceptions import ExportError, ParameterError
from airflow_provider_sfleads.exports.templated import Templated

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

    from airflow_provider_sfleads.exports.record_batches import Chunk, ChunkStream

log = logging.getLogger(__name__)

FORMATS = ("csv", "jsonl", "parquet")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
}
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_KNOWN = "CSV (.csv, .tsv), JSON Lines (.jsonl, .ndjson, .json), both also .gz or .zst, and Parquet (.parquet)"
# How names begin that are not for readers: Hadoop, Spark and Hive write _SUCCESS, _temporary and .part-0.crc, Impala
# .impala_insert_staging, Delta Lake _delta_log.
_HIDDEN = (".", "_")
_WILD = "*?["
# How Hadoop's older writers, and Amazon EMR, name the object that stands for a folder.
_FOLDER_OBJECT = "_$folder$"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A path that was asked for.

    :param text: as the user gave it.
    :param path: as its storage knows it.
    :param is_glob: whether it is a pattern, and no folder of that name.
    """

    text: str
    path: str
    is_glob: bool

    @property
    def folder(self) -> str:
        """The folder, or that in which the pattern begins to vary."""
        return _literal(self.path) if self.is_glob else self.path.rstrip("/")

    def is_hidden(self, name: str) -> bool:
        """Say whether a file, or a folder on the way to it, is not for readers and not named by the pattern itself."""
        named = [part for part in self.path.split("/") if self.is_glob and part.startswith(_HIDDEN)]
        below = name[len(self.folder) :].strip("/").split("/")
        return any(part.startswith(_HIDDEN) and not any(fnmatchcase(part, mark) for mark in named) for part in below)


def listed(fs: AbstractFileSystem, path: str, text: str) -> list[str]:
    """Return the paths of the files that a path stands for, in name order; at least one.

    :param path: as its storage knows it.
    :param text: as the user gave it.
    :raises ExportError: there is none; it says what is there instead.
    """
    if fs.isfile(path) and (fs.info(path).get("size") or not fs.isdir(path)):
        return [path]
    path = fs._strip_protocol(path)  # noqa: SLF001 - of a relative path it makes what names begin with
    if fs.isdir(path):
        asked = _Asked(text, path, is_glob=False)
        entries = _without_twins(fs.ls(path, detail=True))
    else:
        asked = _Asked(text, path, is_glob=any(mark in path for mark in _WILD))
        entries = fs.glob(path, detail=True).values() if asked.is_glob else []
    files = sorted(entry["name"] for entry in entries if _is_file(entry))
    found = [name for name in files if not asked.is_hidden(name)]
    if not found:
        raise ExportError(f"No file at {text!r}{_instead(fs, asked, files)}")
    return found


def _literal(path: str) -> str:
    """Return the folder in which a pattern begins to vary."""
    first = min(at for mark in _WILD if (at := path.find(mark)) >= 0)
    return path[:first].rpartition("/")[0]


def _is_file(entry: Mapping[str, Any]) -> bool:
    """Say whether an entry is a file, and no object without a byte that stands for a folder, as S3's console makes."""
    stands_for_folder = not entry.get("size") and entry["name"].endswith(("/", _FOLDER_OBJECT))
    return entry["type"] == "file" and not stands_for_folder


def _without_twins(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Drop empty objects of the very name of a folder beside them, as other writers stand for that folder."""
    entries = list(entries)
    folders = {entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"}
    return [entry for entry in entries if entry["type"] != "file" or entry.get("size") or entry["name"] not in folders]


def _instead(fs: AbstractFileSystem, asked: _Asked, hidden: list[str]) -> str:
    """Say what is there in place of files, and what to do."""
    below = None if "**" in asked.path else _first_below(fs, asked)
    if below is not None:
        stem, ending = splitext(below)
        ending = splitext(stem)[1] + ending if ending in _COMPRESSIONS else ending
        base = _literal(asked.text) if asked.is_glob else asked.text.rstrip("/")
        return f", but in its sub-folders ({below!r}), which only a glob with ** enters: say '{base}/**/*{ending}'."
    if hidden:
        return (
            f", but {len(hidden)} whose name, or whose folder's name, begins with '.' or '_', such as "
            f"{basename(hidden[0])!r}. Unfinished writes are named so; they are passed over unless the path names them."
        )
    return ". Check the path, and whether the export of this interval was written."


def _first_below(fs: AbstractFileSystem, asked: _Asked) -> str | None:
    """Return the first file in a sub-folder, by its path from the folder."""
    walked: Iterable[tuple[str, list[str], list[str]]] = fs.walk(asked.folder) if asked.folder else ()
    for folder, _, files in walked:
        for file in sorted(filter(None, files)):
            name = f"{folder}/{file}"
            if folder.rstrip("/") != asked.folder and not asked.is_hidden(name):
                return name[len(asked.folder) :].strip("/")
    return None


class FileExport(Templated):
    """The rows of a file, of the files of a folder, or of the files a glob matches, streamed.

    **Which files.** In name order. In folders and by globs, files and folders whose names start with ``.`` or ``_``
    (``_temporary``, ``_delta_log``) are passed over, unless the pattern itself names them so. Sub-folders are not
    entered (a glob with ``**`` does); ``dt=2026-03-05`` in a folder's name is no column. A file whose format is not
    known, or files of two formats, are an error rather than a silent loss or a double count; ``format`` or a glob
    settles it. The columns of all files must agree, in any order; they are compared before the first row is yielded.
    An empty file beside others is a part without rows, with a warning in the log.

    **Formats**, by suffix unless ``format`` says: CSV (``.csv``; ``.tsv`` is tab-separated), JSON Lines (``.jsonl``,
    ``.ndjson``, ``.json``), Parquet (``.parquet``); CSV and JSON Lines also with ``.gz`` or ``.zst``. A file that
    begins as one of another format does (gzip, Excel ...) is an error that says what it is. Text is UTF-8, with or
    without a byte order mark; anything else is an error that says where.

    **CSV.** The first line is the header: names are trimmed, an empty one becomes ``column_<n>``, two of one name are
    an error; a file without a header line is an error, one with nothing but a header has 0 rows. Every value is
    text, and an empty cell is ``""`` (the mapping takes blank for null). Blank lines are passed over. Values in
    quotes keep their line breaks. A line with too many or too few values, or with text after a closing quote, is a
    reject, ``MALFORMED_ROW``; surplus values are joined into its last column, so that nothing is lost from
    the rejects. Where files were joined, the header line again, in any letter case, is passed over with a warning, and
    is an error if its columns stand in another order; any other line after a byte order mark is such a reject. A
    quote that never closes, or a value of more than 131,072 characters, is an error.

    **JSON Lines.** One object a line; numbers with a fraction are ``Decimal``. Columns are the keys seen in the first
    1,000 lines of every file; a key that a row lacks is ``None``, and one that turns up only later is left out,
    with a warning in the log (it cannot be mapped). A line that is no object is a reject, ``MALFORMED_ROW``. An empty
    file has 0 rows and no columns.

    **Parquet.** Timestamps are cut to microseconds. Bytes that are UTF-8 are text, as Impala and older Spark write it
    without saying so; other bytes stay bytes, and are a reject of their row where they are mapped.

    :param path: path or URL that ``ObjectStoragePath`` takes.
    :param format: ``csv``, ``jsonl`` or ``parquet``; default: by suffix.
    :param conn_id: Airflow connection for remote storage; default: the one in the URL, if any.
    """

    template_fields: ClassVar[tuple[str, ...]] = ("path", "format", "conn_id")

    def __init__(
        self,
        path: str | PathLike[str] | ObjectStoragePath,
        format: str | None = None,  # noqa: A002  (the public name)
        conn_id: str | None = None,
    ) -> None:
        self.path = str(path)  # not fspath, which drops an ObjectStoragePath's scheme
        self.format = format
        self.conn_id = conn_id

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Find the files, compare their columns and yield their rows in chunks; open files close with the context.

        :raises ExportError: no file, a file that cannot be read, columns that do not agree; also while iterating.
        :raises ParameterError: ``format`` is none.
        """
        from airflow_provider_sfleads.exports.record_batches import ChunkStream

        if self.format not in (None, "", *FORMATS):
            raise ParameterError(f"format must be one of {', '.join(FORMATS)}, or left out, not {self.format!r}.")
        files, columns = _with_columns(_listed(self.path, self.format or None, self.conn_id or None))
        with closing(_chunks(files, columns)) as chunks:
            yield ChunkStream(columns=columns, chunks=chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file of an export.

    :param name: its path or URL, for messages.
    :param path: its path at ``fs``.
    :param format: ``csv``, ``jsonl`` or ``parquet``.
    :param compression: ``gzip``, ``zstd`` or ``None``.
    :param delimiter: between the values of a CSV file.
    """

    name: str
    path: str
    fs: AbstractFileSystem
    format: str
    compression: str | None
    delimiter: str

    def columns(self) -> tuple[str, ...] | None:
        """Return the file's columns, reading no more than its head; ``None`` where there is not a byte in it."""
        from airflow_provider_sfleads.exports import csv_records, jsonl_reader, parquet_reader

        with self._opened() as stream:
            if not stream.peek(1):
                return None
            if self.format == "csv":
                return csv_records.read_columns(stream, self.name, self.delimiter)
            if self.format == "jsonl":
                return jsonl_reader.read_columns(stream, self.name)
            return parquet_reader.read_columns(stream, self.name)

    def chunks(self, columns: tuple[str, ...]) -> Iterator[Chunk]:
        """Yield the file's rows in chunks, with all of ``columns``, in that order."""
        from airflow_provider_sfleads.exports import csv_reader, jsonl_reader, parquet_reader

        with self._opened() as stream:
            if self.format == "csv":
                yield from csv_reader.read_chunks(stream, self.name, self.delimiter, columns)
            elif self.format == "jsonl":
                yield from jsonl_reader.read_chunks(stream, self.name, columns)
            else:
                yield from parquet_reader.read_chunks(stream, self.name, columns)

    def _opened(self) -> AbstractContextManager[BufferedReader]:
        from airflow_provider_sfleads.exports.storage import opened

        return opened(self.fs, self.path, self.name, self.compression, expected=self.format)


def _listed(path: str, kind: str | None, conn_id: str | None) -> list[_File]:
    """Return the files ``path`` stands for, in name order; at least one.

    :raises ExportError: there is none, or their formats are unknown or differ.
    """
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_sfleads.exports.storage import storage_errors

    with storage_errors(path):
        root = ObjectStoragePath(path, conn_id=conn_id)
        found = listed(root.fs, root.path, path)
    files = [_file(root.fs, item, kind, path) for item in found]
    formats = {file.format: file for file in files}
    if len(formats) > 1:
        names = " and ".join(f"{file.name} ({name})" for name, file in formats.items())
        raise ExportError(
            f"{path!r} holds files of different formats: {names}. One export has one format; "
            "use a glob such as '*.csv' to say which."
        )
    return files


def _file(fs: AbstractFileSystem, path: str, asked_kind: str | None, asked: str) -> _File:
    name = str(fs.unstrip_protocol(path)).removeprefix("file://")
    stem = path.lower()
    ending = next((ending for ending in _COMPRESSIONS if stem.endswith(ending)), "")
    suffix = "." + basename(stem.removesuffix(ending)).rpartition(".")[2]
    kind = asked_kind or _SUFFIXES.get(suffix, "")
    if not kind:
        raise ExportError(
            f"{name} is of no format that can be read: {_KNOWN}. "
            f"Say format= if it is one of these under another name, or give a glob in place of {asked!r}."
        )
    if kind == "parquet" and ending:
        raise ExportError(f"{name}: a Parquet file is compressed inside; unpack it first.")
    compression, delimiter = _COMPRESSIONS.get(ending), "\t" if suffix == ".tsv" else ","
    return _File(name=name, path=path, fs=fs, format=kind, compression=compression, delimiter=delimiter)


def _with_columns(files: list[_File]) -> tuple[list[_File], tuple[str, ...]]:
    """Return the files that are not empty, and the columns of all of them.

    :raises ExportError: the columns do not agree, or all files are empty.
    """
    found = [(file, file.columns()) for file in files]
    empty = [file.name for file, columns in found if columns is None]
    filled = [(file, columns) for file, columns in found if columns is not None]
    if not filled and files[0].format != "jsonl":
        lacks = "has no header line" if files[0].format == "csv" else "is no Parquet file"
        others = f", and so are the {len(files) - 1} others" if len(files) > 1 else ""
        raise ExportError(
            f"{files[0].name} {lacks}: it is empty{others}. An export without rows still names its columns."
        )
    if filled and empty:
        log.warning(
            "%d of %d files are empty, such as %s: taken as parts without rows.", len(empty), len(files), empty[0]
        )
    return [file for file, _ in filled], _common_columns(filled)


def _common_columns(files: list[tuple[_File, tuple[str, ...]]]) -> tuple[str, ...]:
    """Return the columns of all files.

    JSON Lines have no header to disagree on: an optional key may be missing from a whole file, so theirs are joined.
    """
    columns: dict[str, None] = {}
    for file, found in files:
        if file.format == "jsonl" or not columns:
            columns.update(dict.fromkeys(found))
            continue
        lacking = [name for name in columns if name not in found]
        added = [name for name in found if name not in columns]
        if lacking or added:
            says = [f"lacks {', '.join(map(repr, lacking))}"] * bool(lacking)
            says += [f"has {', '.join(map(repr, added))} in addition"] * bool(added)
            raise ExportError(
                f"{file.name} {' and '.join(says)}, compared with {files[0][0].name}. "
                "The files of one export must have the same columns."
            )
    return tuple(columns)


def _chunks(files: list[_File], columns: tuple[str, ...]) -> Generator[Chunk]:
    for file in files:
        yield from file.chunks(columns)
