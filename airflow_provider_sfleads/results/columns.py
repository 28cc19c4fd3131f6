"""The columns of the results, and how outcomes become Arrow columns and come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sfleads.core.outcome import Action, Outcome

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "key",
    "action",
    "reason",
    "salesforce_id",
    "error_code",
    "error_message",
    "error_fields",
    "api",
    "batch",
    "attempt",
    "finished_at",
    "contact_id",
    "old_stage",
    "new_stage",
    "lead_url",
)


def schema() -> pa.Schema:
    """Return the Arrow schema of the results: strings but for three columns."""
    import pyarrow as pa

    special = {
        "error_fields": pa.list_(pa.string()),
        "attempt": pa.int32(),
        "finished_at": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, special.get(name, pa.string())) for name in COLUMNS])


def to_batch(outcomes: Sequence[Outcome]) -> pa.RecordBatch:
    """Return outcomes as one record batch."""
    import pyarrow as pa

    wanted = schema()
    arrays = [
        pa.array([_storable(getattr(outcome, field.name)) for outcome in outcomes], field.type) for field in wanted
    ]
    return pa.record_batch(arrays, schema=wanted)


def complete(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch that has all columns of the results, in their order.

    :param batch: some of the columns; others it may have are left out. Those it does not have are null, but for
        ``attempt``, which is 1, and ``error_fields``, which is empty.
    """
    import pyarrow as pa

    wanted = schema()
    arrays = []
    for field in wanted:
        if field.name in batch.schema.names:
            column = batch.column(field.name)
            arrays.append(column if column.type.equals(field.type) else column.cast(field.type))
        elif field.name == "error_fields":
            starts = pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows + 1)
            arrays.append(pa.ListArray.from_arrays(starts, pa.array([], pa.string())))
        elif field.name == "attempt":
            arrays.append(pa.repeat(pa.scalar(1, field.type), batch.num_rows))
        else:
            arrays.append(pa.nulls(batch.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def in_schema(batch: pa.RecordBatch, wanted: pa.Schema, **others: pa.Array) -> pa.RecordBatch:
    """Return rows in the columns of a schema; what they lack is null.

    :param others: columns that stand for the batch's own.
    """
    import pyarrow as pa

    given = {**dict(zip(batch.schema.names, batch.columns, strict=True)), **others}
    arrays = [given[one.name].cast(one.type) if one.name in given else pa.nulls(len(batch), one.type) for one in wanted]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def is_one_of(column: pa.Array, values: Iterable[str]) -> pa.Array:
    """Return which texts are among some; a null is not."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(column, value_set=pa.array(sorted(map(str, values)), pa.string()))


def sortable(times: pa.Array, between: str = "T") -> pa.Array:
    """Return times with a zone as texts that sort as they do: ISO 8601 in UTC, with microseconds.

    :param between: stands between day and hour.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.strftime(times.cast(pa.timestamp("us")), format=f"%Y-%m-%d{between}%H:%M:%S")
    return pc.binary_join_element_wise(texts, "+00:00", "")


def to_outcome(row: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a row of the results records."""
    return Outcome(**{**row, "action": Action(row["action"]), "error_fields": tuple(row["error_fields"] or ())})


def _storable(value: Any) -> Any:  # noqa: ANN401  (a value of any column)
    """Return ``value`` as Arrow takes it.

    Salesforce's messages come out of JSON, where half of a surrogate pair is possible; no file can hold one, and one
    odd message must not cost the whole part. A time without a zone is UTC.
    """
    if isinstance(value, tuple):
        return [*map(_storable, value)]
    if isinstance(value, str):
        return str(value) if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
