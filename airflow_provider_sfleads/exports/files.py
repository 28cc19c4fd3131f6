"""An export that is files."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from os import PathLike
from typing import TYPE_CHECKING, ClassVar

from airflow_provider_sfleads.core.rows import BadRow, Row, RowStream
from airflow_provider_sfleads.exceptions import ExportError, ParameterError
from airflow_provider_sfleads.exports.chunks import Chunk, ChunkStream
from airflow_provider_sfleads.exports.templated import Templated

if TYPE_CHECKING:
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_sfleads.exports.located import LocatedFile

FORMATS = ("csv", "jsonl", "parquet")


class FileExport(Templated):
    """The rows of a file, of the files of a folder, or of the files a glob matches, streamed.

    **Which files.** In name order. In a folder, hidden files and names that start with ``_`` are passed over;
    subfolders are not entered (a glob with ``**`` does). A file whose format is not known, or files of two
    formats, are an error rather than a silent loss or a double count; ``format`` or a glob settles it. The columns
    of all files must agree, in any order; they are compared before the first row is yielded.

    **Formats**, by suffix unless ``format`` says: CSV (``.csv``; ``.tsv`` is tab-separated), JSON Lines (``.jsonl``,
    ``.ndjson``, ``.json``), Parquet (``.parquet``); CSV and JSON Lines also with ``.gz`` or ``.zst``. Text is UTF-8,
    with or without a byte order mark; anything else is an error that says where.

    **CSV.** The first line is the header: names are trimmed, an empty one becomes ``column_<n>``, two of one name are
    an error; a file without a header line is an error, one with nothing but a header has 0 rows. Every value is
    text, and an empty cell is ``""`` (the mapping takes blank for null). Blank lines are passed over. Values in
    quotes keep their line breaks. A line with too many or too few values, or with text after a closing quote, is a
    :class:`BadRow` ``MALFORMED_ROW``; surplus values are joined into its last column, so that nothing is lost from
    the rejects. A quote that never closes, or a value of more than 131,072 characters, is an error.

    **JSON Lines.** One object a line; numbers with a fraction are ``Decimal``. Columns are the keys seen in the first
    1,000 lines of every file; a key that a row lacks is ``None``, and one that turns up only later is left out,
    with a warning in the log (it cannot be mapped). A line that is no object is a :class:`BadRow`. An empty file
    has 0 rows and no columns.

    **Parquet.** Timestamps are cut to microseconds.

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
    def open(self) -> Iterator[RowStream]:
        """Find the files, compare their columns and yield their rows; open files close with the context.

        :raises ExportError: no file, a file that cannot be read, columns that do not agree; also while iterating.
        :raises ParameterError: ``format`` is none.
        """
        files, columns = self._found()
        with closing(_rows(files, columns)) as rows:
            yield RowStream(columns=columns, rows=rows)

    @contextmanager
    def open_chunks(self) -> Iterator[ChunkStream]:
        """Find and compare the files as :meth:`open` does, with the same errors, and yield the same rows in chunks."""
        files, columns = self._found()
        with closing(_chunks(files, columns)) as chunks:
            yield ChunkStream(columns=columns, chunks=chunks)

    def _found(self) -> tuple[tuple[LocatedFile, ...], tuple[str, ...]]:
        from airflow_provider_sfleads.exports.located import locate

        if self.format not in (None, "", *FORMATS):
            raise ParameterError(f"format must be one of {', '.join(FORMATS)}, or left out, not {self.format!r}.")
        files = locate(self.path, kind=self.format or None, conn_id=self.conn_id or None)
        return files, _common_columns(files)


def _text_of(path: PathLike[str] | ObjectStoragePath) -> str:
    """Return the URL of a path; ``str`` and not ``fspath``, which drops an ``ObjectStoragePath``'s scheme."""
    return str(path)


def _common_columns(files: tuple[LocatedFile, ...]) -> tuple[str, ...]:
    """Return the columns of all files.

    JSON Lines have no header to disagree on: an optional key may be missing from a whole file, so theirs are joined.
    """
    first, *others = files
    columns = dict.fromkeys(first.columns())
    for file in others:
        found = file.columns()
        if file.format == "jsonl":
            columns.update(dict.fromkeys(found))
            continue
        lacking = [name for name in columns if name not in found]
        added = [name for name in found if name not in columns]
        if lacking or added:
            says = [f"lacks {', '.join(map(repr, lacking))}"] * bool(lacking)
            says += [f"has {', '.join(map(repr, added))} in addition"] * bool(added)
            raise ExportError(
                f"{file.name} {' and '.join(says)}, compared with {first.name}. "
                "The files of one export must have the same columns."
            )
    return tuple(columns)


def _rows(files: tuple[LocatedFile, ...], columns: tuple[str, ...]) -> Generator[Row | BadRow]:
    for file in files:
        yield from file.rows(columns)


def _chunks(files: tuple[LocatedFile, ...], columns: tuple[str, ...]) -> Generator[Chunk]:
    for file in files:
        yield from file.chunks(columns)
