"""From a path, a folder or a glob to the files of an export."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BufferedReader
from posixpath import basename
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import ExportError
from airflow_provider_sfleads.exports import csv_reader, csv_records, jsonl_reader, parquet_reader
from airflow_provider_sfleads.exports.listing import listed
from airflow_provider_sfleads.exports.record_batches import Chunk
from airflow_provider_sfleads.exports.streams import opened, storage_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedFile:
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
    delimiter: str = ","

    def columns(self) -> tuple[str, ...] | None:
        """Return the file's columns, reading no more than its head; ``None`` where there is not a byte in it."""
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
        with self._opened() as stream:
            if self.format == "csv":
                yield from csv_reader.read_chunks(stream, self.name, self.delimiter, columns)
            elif self.format == "jsonl":
                yield from jsonl_reader.read_chunks(stream, self.name, columns)
            else:
                yield from parquet_reader.read_chunks(stream, self.name, columns)

    def _opened(self) -> AbstractContextManager[BufferedReader]:
        return opened(self.fs, self.path, self.name, self.compression, expected=self.format)


def locate(path: str, *, kind: str | None, conn_id: str | None) -> tuple[LocatedFile, ...]:
    """Return the files ``path`` stands for, in name order; at least one.

    :raises ExportError: there is none, or their formats are unknown or differ.
    """
    from airflow.sdk import ObjectStoragePath

    with storage_errors(path):
        root = ObjectStoragePath(path, conn_id=conn_id)
        fs = root.fs
        found = listed(fs, root.path, path)
    files = tuple(_file(fs, item, kind, path) for item in found)
    formats = {file.format: file for file in files}
    if len(formats) > 1:
        names = " and ".join(f"{file.name} ({name})" for name, file in formats.items())
        raise ExportError(
            f"{path!r} holds files of different formats: {names}. One export has one format; "
            "use a glob such as '*.csv' to say which."
        )
    return files


def _file(fs: AbstractFileSystem, path: str, asked_kind: str | None, asked: str) -> LocatedFile:
    name = str(fs.unstrip_protocol(path)).removeprefix("file://")
    stem = path.lower()
    compression = None
    for ending, codec in _COMPRESSIONS.items():
        if stem.endswith(ending):
            compression, stem = codec, stem.removesuffix(ending)
    suffix = "." + basename(stem).rpartition(".")[2]
    kind = asked_kind or _SUFFIXES.get(suffix, "")
    if not kind:
        raise ExportError(
            f"{name} is of no format that can be read: {_KNOWN}. "
            f"Say format= if it is one of these under another name, or give a glob in place of {asked!r}."
        )
    if kind == "parquet" and compression:
        raise ExportError(f"{name}: a Parquet file is compressed inside; unpack it first.")
    return LocatedFile(
        name=name,
        path=path,
        fs=fs,
        format=kind,
        compression=compression,
        delimiter="\t" if suffix == ".tsv" else ",",
    )
