"""Reads the results of an execution back, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.results.columns import COLUMNS, to_outcome
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import part_names, parts_below
from airflow_provider_sfleads.results.write_back import WriteBackRow

if TYPE_CHECKING:
    import pyarrow as pa
    from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

# By how much the clocks of a storage and of Salesforce may differ.
_CLOCKS = timedelta(hours=1)
_SETTLED = frozenset({Action.CREATED, Action.UPDATED, Action.UNCHANGED})
# Left alone for another reason than that the values are right.
_UNCONFIRMED = frozenset({Reason.BEYOND_STAGE, Reason.STAGE_NOT_ON_LADDER, Reason.CONVERTED})
_BATCH = 5_000


def recorded_outcomes(folder: ResultsFolder) -> Iterator[Outcome]:
    """Yield every outcome in the complete parts, in the order they were written."""
    for row in _recorded(folder, COLUMNS):
        yield to_outcome(row)


def settled_rows(
    folder: ResultsFolder, fingerprint: Callable[[str], str | None] = lambda _key: None
) -> Iterator[WriteBackRow]:
    """Yield what to write back: the rows that are created, updated or unchanged, with the stage they stand at.

    :param fingerprint: of the values sent, by key; noted for the rows of which Salesforce has confirmed them.
    """
    columns = ("key", "salesforce_id", "action", "reason", "old_stage", "new_stage", "finished_at")
    for row in _recorded(folder, columns):
        if row["action"] in _SETTLED:
            yield WriteBackRow(
                key=row["key"],
                salesforce_id=row["salesforce_id"],
                action=row["action"],
                stage=row["new_stage"] or row["old_stage"],
                finished_at=row["finished_at"],
                confirmed=None if row["reason"] in _UNCONFIRMED else fingerprint(row["key"]),
            )


def created_ids(root: Directory, ids: Collection[str], since: datetime) -> set[str]:
    """Those of some lead ids that rows recorded anywhere below a folder created.

    That other rows merely found a lead says nothing of whose it is.

    :param root: such as the folder of a Dag, with all its runs and tasks.
    :param since: no part that is older speaks of them.
    :raises ResultsError: where a part cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(ids, pa.string())
    found: set[str] = set()
    read: set[str] = set()
    while waiting := [path for path in parts_below(root, since - _CLOCKS) if path not in read]:
        for path in waiting:
            read.add(path)
            try:
                for batch in _batches_of(root.fs, path, ("salesforce_id", "action")):
                    created = batch.column(0).filter(pc.equal(batch.column(1), str(Action.CREATED)))
                    found.update(created.filter(pc.is_in(created, wanted)).to_pylist())
            except FileNotFoundError:
                # A task that ends just now joins its parts; the next listing has the new one.
                continue
            except pa.ArrowInvalid as error:
                raise ResultsError(f"The results in {path} cannot be read: {error}") from error
    return found


def _recorded(folder: ResultsFolder, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in _batches(folder, columns):
        yield from batch.to_pylist()


def _batches(folder: ResultsFolder, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    directory = folder.directory
    for name in part_names(directory):
        yield from _batches_of(directory.fs, directory.file(name), columns)


def _batches_of(fs: AbstractFileSystem, path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    with fs.open(path, "rb") as stream, pq.ParquetFile(stream) as file:
        yield from file.iter_batches(batch_size=_BATCH, columns=list(columns))
