"""What earlier runs confirmed, as the results of these runs remember it: a small file beside each execution's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from glob import escape
from itertools import islice
from posixpath import basename
from typing import TYPE_CHECKING

from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.results.confirmed import Confirmation
from airflow_provider_sfleads.results.folder import ResultsFolder
from airflow_provider_sfleads.results.write_back import WriteBackRow

if TYPE_CHECKING:
    import pyarrow as pa

#: Beside the results of an execution: key, lead and fingerprint of each row whose values it confirmed.
CONFIRMED = "confirmed.parquet"
_INTERVAL_END = b"airflow_provider_sfleads.interval_end"
_BATCH = 20_000


def remember(folder: ResultsFolder, rows: Iterable[WriteBackRow], interval_end: datetime | None) -> None:
    """Write down what an execution confirmed, once all of its rows are recorded.

    :param rows: its settled rows.
    :param interval_end: end of its data interval.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    end = (interval_end or datetime.now(UTC)).astimezone(UTC).isoformat()
    schema = pa.schema(
        [(name, pa.string()) for name in ("key", "salesforce_id", "values")], metadata={_INTERVAL_END: end}
    )
    confirmed = ((row.key, row.salesforce_id, row.confirmed) for row in rows if row.confirmed is not None)
    with folder.directory.complete(CONFIRMED) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        while batch := list(islice(confirmed, _BATCH)):
            writer.write_batch(pa.record_batch([list(column) for column in zip(*batch, strict=True)], schema=schema))


def confirmed_in_results(
    folder: ResultsFolder, *, values: bool, interval_end: datetime | None
) -> Iterator[Confirmation]:
    """Yield what the task's executions in all runs of its Dag confirmed, the older ones first.

    :param folder: the execution that goes on now.
    :param values: whether the fingerprints are asked for, too.
    :param interval_end: end of the run's data interval; rows of newer intervals are marked.
    :raises ResultsError: where a file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fs = folder.of_dag.fs
    fs.invalidate_cache()
    *_, task, index, own = folder.directory.path.split("/")
    paths = fs.glob(f"{escape(folder.of_dag.path)}/*/{task}/{index}/*/{CONFIRMED}")
    # Executions are named after their beginning.
    for path in sorted(paths, key=lambda each: basename(each.rpartition("/")[0])):
        if path.split("/")[-2] == own:
            continue
        try:
            with fs.open(path, "rb") as stream, pq.ParquetFile(stream) as file:
                said = (file.schema_arrow.metadata or {}).get(_INTERVAL_END, b"").decode()
                is_newer = bool(said) and interval_end is not None and datetime.fromisoformat(said) > interval_end
                for batch in file.iter_batches(batch_size=_BATCH) if values or is_newer else ():
                    yield from _confirmations(batch, values=values, is_newer=is_newer)
        except FileNotFoundError:
            # Somebody tidies up old results.
            continue
        except pa.ArrowInvalid as error:
            raise ResultsError(f"What an earlier run confirmed, in {path}, cannot be read: {error}") from error


def _confirmations(batch: pa.RecordBatch, *, values: bool, is_newer: bool) -> Iterator[Confirmation]:
    for key, lead_id, text in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        yield Confirmation(key=key, lead_id=lead_id, values=text if values else None, is_newer=is_newer)
