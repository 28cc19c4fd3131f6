"""An export that is files."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from os import PathLike
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_sfleads.exceptions import ExportError, ParameterError
from airflow_provider_sfleads.exports.record_batches import Chunk, ChunkStream
from airflow_provider_sfleads.exports.templated import Templated

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_sfleads.exports.located import LocatedFile

log = logging.getLogger(__name__)

FORMATS = ("csv", "jsonl", "parquet")


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
    _fields: ClassVar[tuple[str, ...]] = ("path", "format", "conn_id")

    def __init__(
        self,
        path: str | PathLike[str] | ObjectStoragePath,
        format: str | None = None,  # noqa: A002  (the public name)
        conn_id: str | None = None,
    ) -> None:
        self.path = path if isinstance(path, str) else _text_of(path)
        self.format = format
        self.conn_id = conn_id

    @contextmanager
    def open(self) -> Iterator[ChunkStream]:
        """Find the files, compare their columns and yield their rows in chunks; open files close with the context.

        :raises ExportError: no file, a file that cannot be read, columns that do not agree; also while iterating.
        :raises ParameterError: ``format`` is none.
        """
        files, columns = self._found()
        with closing(_chunks(files, columns)) as chunks:
            yield ChunkStream(columns=columns, chunks=chunks)

    def _found(self) -> tuple[tuple[LocatedFile, ...], tuple[str, ...]]:
        from airflow_provider_sfleads.exports.located import locate

        if self.format not in (None, "", *FORMATS):
            raise ParameterError(f"format must be one of {', '.join(FORMATS)}, or left out, not {self.format!r}.")
        files = locate(self.path, kind=self.format or None, conn_id=self.conn_id or None)
        return _with_columns(files)


def _text_of(path: PathLike[str] | ObjectStoragePath) -> str:
    """Return the URL of a path; ``str`` and not ``fspath``, which drops an ``ObjectStoragePath``'s scheme."""
    return str(path)


def _with_columns(files: tuple[LocatedFile, ...]) -> tuple[tuple[LocatedFile, ...], tuple[str, ...]]:
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
    return tuple(file for file, _ in filled), _common_columns(filled)


def _common_columns(files: list[tuple[LocatedFile, tuple[str, ...]]]) -> tuple[str, ...]:
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


def _chunks(files: tuple[LocatedFile, ...], columns: tuple[str, ...]) -> Generator[Chunk]:
    for file in files:
        yield from file.chunks(columns)
