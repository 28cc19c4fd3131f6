"""The parts of the results: their names, their marks, and small ones joined to larger ones.

A part is named by its number, ``results-00007.parquet``, one that was joined by the first and the last number it holds,
``results-00000-00007.parquet``. A part that lies within the numbers of another is the other's already: it only waits to
be removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from posixpath import basename
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.results.files import Directory

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MARK = b"airflow_provider_sfleads.mark"
#: The mark once the export is staged to its end.
STAGED = "staged"
_STAGED = STAGED.encode()
#: Rows to a row group.
GROUP_ROWS = 10_000
#: Of values that differ from row to row a dictionary is only work.
_REPEATING = (
    "action", "reason", "error_code", "error_message", "error_fields.list.element", "api", "batch", "attempt",
    "finished_at", "contact_id", "old_stage", "new_stage",
)  # fmt: skip
FORM = {"compression": "zstd", "use_dictionary": list(_REPEATING), "write_statistics": ["key", "action"]}
_MOMENTS = ("mtime", "LastModified", "last_modified", "updated", "created")
_PART = re.compile(r"results-(\d{5,})(?:-(\d{5,}))?\.parquet")


def part_name(first: int, last: int | None = None) -> str:
    """Return the name of a part."""
    return f"results-{first:05}.parquet" if last in (None, first) else f"results-{first:05}-{last:05}.parquet"


def last_number(name: str) -> int:
    """Return the last number that a part holds."""
    return _numbers(name)[1]


def part_names(directory: Directory) -> list[str]:
    """Return the names of the complete parts, in the order they were written."""
    return [name for name, is_current in _all(directory) if is_current]


def next_number(directory: Directory) -> int:
    """Return the number of the part that comes next."""
    return max((last_number(name) for name in part_names(directory)), default=-1) + 1


def are_covered(directory: Directory, first: int, end: int) -> bool:
    """Return whether there is a part for each number from ``first`` to below ``end``, and no gap beyond.

    Parts are numbered as they are written, so that a gap shows where some were lost.
    """
    reached = first
    for low, high in sorted(map(_numbers, part_names(directory))):
        if low > reached:
            return False
        reached = max(reached, high + 1)
    return reached >= end


def remove_stale(directory: Directory) -> None:
    """Remove the parts that were joined, and whose removal was interrupted."""
    for name, is_current in _all(directory):
        if not is_current:
            directory.remove(name)


def _all(directory: Directory) -> Iterator[tuple[str, bool]]:
    names = [name for name in directory.names() if _PART.fullmatch(name)]
    held = -1
    # Of parts that begin alike the longest comes first: it holds the others.
    for name in sorted(names, key=lambda each: (_numbers(each)[0], -_numbers(each)[1])):
        last = last_number(name)
        yield name, last > held
        held = max(held, last)


def parts_below(root: Directory, since: datetime) -> Iterator[str]:
    """Yield the names of all parts in a folder and those below it, but for those last written before a moment."""
    return files_below(root, since, lambda name: _PART.fullmatch(basename(name)) is not None)


def files_below(root: Directory, since: datetime, wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the names, from ``root`` on, of such files below it, but for those last written before a moment."""
    for name, info in root.below(strict=True).items():
        if wanted(name) and _written(info) >= since:
            yield name


def _written(info: Mapping[str, Any]) -> datetime:
    """Return when a file was last written; each storage has its own word for it, and some have none."""
    moment = next((info[name] for name in _MOMENTS if info.get(name) is not None), None)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, int | float):
        return datetime.fromtimestamp(moment, tz=UTC)
    return moment.replace(tzinfo=moment.tzinfo or UTC) if isinstance(moment, datetime) else datetime.now(UTC)


def _numbers(name: str) -> tuple[int, int]:
    match = _PART.fullmatch(name)
    return (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)


def marks(directory: Directory) -> dict[str, str]:
    """Return the marks that complete parts bear (``ResultsWriter.marked``), with the names of these parts."""
    found: dict[str, str] = {}
    for name in part_names(directory):
        with readable(directory.file(name)), directory.parquet(name) as file:
            found |= {mark.decode(): name for mark in marked_as(file.metadata).values()}
    return found


@contextmanager
def readable(path: str) -> Iterator[None]:
    """Have a part that is torn, or not ours, end the block with an error that says what can be done about it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        # A column that is not there, or that holds other values, is no error of Arrow's.
        raise ResultsError(
            f"The results in {path} cannot be read ({type(error).__name__}): {error} Move the file away: the next "
            "try of its task takes the rows that it held for lost, and asks Salesforce about them before any is sent "
            "again."
        ) from error


def marked_as(footer: pq.FileMetaData) -> dict[bytes, bytes]:
    """Return the mark of a part as its footer holds it."""
    return {key: value for key, value in (footer.metadata or {}).items() if key == MARK}


def join_parts(directory: Directory, *, part_rows: int) -> None:
    """Join parts that lie side by side and bear no mark, while together they have no more than ``part_rows`` rows.

    The mark that the export is staged settles no row of its own: it goes over to the part that its part is joined to.

    A worker that is killed on the way leaves parts that :func:`part_names` does not name.
    """
    run: list[str] = []
    rows = 0
    for name in part_names(directory):
        with directory.parquet(name) as file:
            footer = file.metadata
        is_settled = marked_as(footer).get(MARK, _STAGED) != _STAGED
        if is_settled or rows + footer.num_rows > part_rows:
            _join(directory, run)
            run, rows = [], 0
        if not is_settled:
            run.append(name)
            rows += footer.num_rows
    _join(directory, run)


def _join(directory: Directory, names: Sequence[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if len(names) <= 1:
        return
    joined = part_name(_numbers(names[0])[0], last_number(names[-1]))
    with directory.complete(joined) as draft:
        with directory.parquet(names[0]) as first:
            schema = first.schema_arrow
        with pq.ParquetWriter(draft, schema, **FORM) as target:
            waiting: list[pa.Table] = []
            for name in names:
                with directory.parquet(name) as file:
                    target.add_key_value_metadata(marked_as(file.metadata))
                    waiting.append(file.read())
                if sum(table.num_rows for table in waiting) >= GROUP_ROWS:
                    target.write_table(pa.concat_tables(waiting))
                    waiting.clear()
            if waiting:
                target.write_table(pa.concat_tables(waiting))
    for name in names:
        directory.remove(name)
