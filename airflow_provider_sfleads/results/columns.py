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
    columns = [
        [tuple(map(_storable, value)) if name == "error_fields" else _storable(value) for value in values]
        for name, values in _by_column(outcomes)
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, wanted, strict=True)]
    return pa.record_batch(arrays, schema=wanted)


def complete(batch: pa.RecordBatch, **values: object) -> pa.RecordBatch:
    """Return a batch that has all columns of the results, in their order.

    :param batch: some of the columns; others it may have are left out.
    :param values: one value for all rows, by column, for columns that the batch does not have; the rest are null,
        but for ``attempt``, which is 1, and ``error_fields``, which is empty.
    """
    import pyarrow as pa

    wanted = schema()
    given = {"attempt": 1} | values
    arrays = []
    for field in wanted:
        if field.name in batch.schema.names:
            column = batch.column(field.name)
            arrays.append(column if column.type.equals(field.type) else column.cast(field.type))
        elif field.name == "error_fields" and field.name not in given:
            starts = pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows + 1)
            arrays.append(pa.ListArray.from_arrays(starts, pa.array([], pa.string())))
        else:
            value = pa.scalar(_storable(given.get(field.name)), field.type)
            arrays.append(pa.repeat(value, batch.num_rows) if value.is_valid else pa.nulls(batch.num_rows, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def to_outcome(row: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a row of the results records."""
    values = dict(row)
    values["action"] = Action(values["action"])
    values["error_fields"] = tuple(values["error_fields"] or ())
    return Outcome(**values)


def _by_column(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, list[Any]]]:
    for name in COLUMNS:
        yield name, [getattr(outcome, name) for outcome in outcomes]


def _storable(value: Any) -> Any:  # noqa: ANN401  (a value of any column)
    """Return ``value`` as Arrow takes it.

    Salesforce's messages come out of JSON, where half of a surrogate pair is possible; no file can hold one, and one
    odd message must not cost the whole part. A time without a zone is UTC.
    """
    if isinstance(value, str):
        return str(value) if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
