"""Reads the results of an execution back, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.results.columns import COLUMNS, to_outcome
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import part_names
from airflow_provider_sfleads.results.write_back import WriteBackRow

if TYPE_CHECKING:
    import pyarrow as pa

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


def recorded_ids(folders: Iterable[ResultsFolder], ids: Collection[str]) -> set[str]:
    """Those of some lead ids that recorded rows speak of."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(ids, pa.string())
    found: set[str] = set()
    for folder in folders:
        for batch in _batches(folder, ("salesforce_id",)):
            column = batch.column(0)
            found.update(column.filter(pc.is_in(column, wanted)).to_pylist())
    return found


def _recorded(folder: ResultsFolder, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in _batches(folder, columns):
        yield from batch.to_pylist()


def _batches(folder: ResultsFolder, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    directory = folder.directory
    for name in part_names(directory):
        with directory.fs.open(directory.file(name), "rb") as stream, pq.ParquetFile(stream) as file:
            yield from file.iter_batches(batch_size=_BATCH, columns=list(columns))
