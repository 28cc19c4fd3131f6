"""The account of an execution, counted from its results."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_provider_sfleads.core.outcome import Action
from airflow_provider_sfleads.core.report import Tally
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.parts import part_names, readable

_COUNTED = ("action", "reason", "error_code", "api")
_BATCH = 100_000


def tally_of(folder: ResultsFolder) -> Tally:
    """Count every row in the complete parts, by the column, whose few different values are not spelled out."""
    whole = Tally()
    for _, tally in part_tallies(folder):
        whole.absorb(tally)
    return whole


def part_tallies(folder: ResultsFolder) -> Iterator[tuple[str, Tally]]:
    """Yield the name of each complete part, and the count of its rows."""
    for name in part_names(folder.directory):
        yield name, _count(folder.directory, name)


def _count(directory: Directory, name: str) -> Tally:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tally = Tally()
    with (
        readable(directory.file(name)),
        directory.open(name) as stream,
        pq.ParquetFile(stream, read_dictionary=list(_COUNTED)) as file,
    ):
        for batch in file.iter_batches(batch_size=_BATCH, columns=list(_COUNTED)):
            lines = pa.table(
                {**{name: batch.column(name) for name in _COUNTED[:-1]}, "sent": pc.is_valid(batch.column("api"))}
            )
            groups = lines.group_by(lines.column_names).aggregate([([], "count_all")])
            for group in groups.to_pylist():
                tally.add_many(
                    Action(group["action"]),
                    reason=group["reason"],
                    error_code=group["error_code"],
                    was_sent=group["sent"],
                    count=group["count_all"],
                )
    return tally
