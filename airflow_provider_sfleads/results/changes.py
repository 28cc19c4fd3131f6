"""Reads from the results of a dry run what a live one would change, and how its rows would be grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.results.columns import is_one_of
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import part_names
from airflow_provider_sfleads.salesforce.error_codes import NO_SINGLE_LEAD

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    import pyarrow.parquet as pq

WOULD = (Action.WOULD_CREATE, Action.WOULD_UPDATE)
_SHOWN = ("key", "action", "salesforce_id", "old_stage", "new_stage")
# What a stage plan's rows are left alone for without a look at Salesforce.
_REMEMBERED = (Reason.SAME_VALUES, Reason.NEWER_RUN)
_BATCH = 10_000


def changes(folder: ResultsFolder, parts: Collection[str] | None = None) -> Iterator[Outcome]:
    """Yield the rows that would change, in the order they were written; no more is read than is asked for.

    :param parts: names of the parts to read; all where it is ``None``.
    """
    for name in part_names(folder.directory) if parts is None else parts:
        with folder.directory.parquet(name) as file:
            groups = [number for number in range(file.num_row_groups) if _may_hold(file, number)]
            for batch in file.iter_batches(batch_size=_BATCH, row_groups=groups, columns=list(_SHOWN)):
                for row in batch.filter(is_one_of(batch.column("action"), WOULD)).to_pylist():
                    yield Outcome(**row | {"action": Action(row["action"])})


def sent_by_group(folder: ResultsFolder, parts: Collection[str], *, size: int, ahead: int = 0) -> list[int]:
    """Return how many rows would be sent of each group that a stage plan looks up together, in order.

    :param parts: names of the parts to read.
    :param size: rows to a group.
    :param ahead: rows that come before those of the parts, all of which would be sent.
    """
    import numpy as np

    sent = Counter[int]({first // size: min(size, ahead - first) for first in range(0, ahead, size)})
    position = ahead
    for name in parts:
        with folder.directory.parquet(name) as file:
            for batch in file.iter_batches(columns=["action", "reason", "error_code", "salesforce_id"]):
                would, asked = (
                    is_one_of(batch.column("action"), WOULD).to_numpy(zero_copy_only=False),
                    _looked_up(batch),
                )
                places = position + np.cumsum(asked) - 1
                groups, counts = np.unique(places[would] // size, return_counts=True)
                sent.update(dict(zip(groups.tolist(), counts.tolist(), strict=True)))
                position += int(asked.sum())
    return [sent[group] for group in sorted(sent)]


def looked_up(folder: ResultsFolder, *, attempt: int) -> tuple[int, int]:
    """Return how many rows were looked up by one try, and by all: of those that were found to be in order, or would be.

    :param attempt: try number of the task.
    """
    mine = whole = 0
    for name in part_names(folder.directory):
        with folder.directory.parquet(name) as file:
            for batch in file.iter_batches(columns=["action", "reason", "error_code", "salesforce_id", "attempt"]):
                asked = _looked_up(batch)
                whole += int(asked.sum())
                mine += int((asked & (batch.column("attempt").to_numpy() == attempt)).sum())
    return mine, whole


def _may_hold(file: pq.ParquetFile, group: int) -> bool:
    """Return whether some row of a row group may change, by what its footer says."""
    column = file.metadata.row_group(group).column(file.schema_arrow.get_field_index("action"))
    statistics = column.statistics
    return statistics is None or not statistics.has_min_max or statistics.max >= min(WOULD)


def _looked_up(batch: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    """Return which rows the export alone could not decide about."""
    import numpy as np
    import pyarrow.compute as pc

    action = batch.column("action")
    found = pc.and_not(pc.equal(action, str(Action.UNCHANGED)), is_one_of(batch.column("reason"), _REMEMBERED))
    refused = pc.and_(pc.equal(action, str(Action.REJECTED)), is_one_of(batch.column("error_code"), NO_SINGLE_LEAD))
    repeated = pc.and_(pc.equal(action, str(Action.DUPLICATE_KEY)), batch.column("salesforce_id").is_valid())
    asked = pc.or_(pc.or_(is_one_of(batch.column("action"), WOULD), found), pc.or_(refused, repeated))
    return np.asarray(asked.to_numpy(zero_copy_only=False))
