"""Reads the results of an execution back, a batch at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from airflow_provider_sfleads.core.alert import TOP_KEYS, Example
from airflow_provider_sfleads.core.outcome import Action, Outcome, Reason
from airflow_provider_sfleads.core.report import Entry, SyncReport, Tally, entry_of_rows, gathered, in_order
from airflow_provider_sfleads.exceptions import ResultsError
from airflow_provider_sfleads.results.columns import COLUMNS, is_one_of, to_outcome
from airflow_provider_sfleads.results.files import Directory, directory_at, read_small_json
from airflow_provider_sfleads.results.folder import DRY_RUN, REPORT, ResultsFolder, is_execution
from airflow_provider_sfleads.results.lead_states import EXISTS, state_schema
from airflow_provider_sfleads.results.parts import part_names, parts_below, readable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

log = logging.getLogger(__name__)

#: By how much the clocks of a storage and of Salesforce may differ.
CLOCKS = timedelta(hours=1)
_SETTLED = frozenset({Action.CREATED, Action.UPDATED, Action.UNCHANGED})
# Left alone for another reason than that the values are right.
_UNCONFIRMED = frozenset({Reason.BEYOND_STAGE, Reason.STAGE_NOT_ON_LADDER, Reason.CONVERTED, Reason.NEWER_RUN})
# What a look-up found the lead to hold.
_FOUND = frozenset({Reason.SAME_VALUES, Reason.ALREADY_AT_STAGE})
# Of results; the other columns may be missing in those of an earlier version.
_ALWAYS_THERE = frozenset({"key", "action", "reason", "salesforce_id"})
# Rows at once: one by one, and by the column.
_BATCH, _MANY = 5_000, 20_000
_COUNTED = ("action", "reason", "error_code", "api")
_COUNTED_TOGETHER = 100_000

ValuesOf = Callable[["pa.Array", "pa.Array"], "pa.Array"]
"""The fingerprints of rows' values, by their keys and reasons; a null keeps what was noted before."""


def recorded_outcomes(folder: ResultsFolder) -> Iterator[Outcome]:
    """Yield every outcome in the complete parts, in the order they were written."""
    for batch in _batches(folder.directory, COLUMNS):
        yield from map(to_outcome, batch.to_pylist())


def settled_rows(folder: ResultsFolder, values_of: ValuesOf | None = None) -> Iterator[pa.RecordBatch]:
    """Yield what to write back, in the columns of :func:`~airflow_provider_sfleads.results.lead_states.state_schema`.

    Those are the rows that are created, updated or unchanged, with the stage they stand at.

    :param values_of: asked for the rows whose values Salesforce has confirmed. Without it nobody knows what the rows
        that were written, or found to be right, now hold, and what was noted before is to be forgotten.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = state_schema()
    columns = ("key", "salesforce_id", "action", "reason", "old_stage", "new_stage", "finished_at")
    for batch in _batches(folder.directory, columns, size=_MANY):
        settled = batch.filter(is_one_of(batch.column("action"), _SETTLED))
        if not settled.num_rows:
            continue
        key, lead_id, action, reason, old, new, moment = settled.columns
        is_unchanged = pc.equal(action, str(Action.UNCHANGED))
        is_found = is_one_of(reason, _FOUND)
        if values_of is None:
            # What was remembered may be something else than what was written or found now.
            confirmed = pc.if_else(pc.and_not(is_unchanged, is_found), pa.scalar(None, pa.string()), "")
        else:
            confirmed = values_of(key, reason)
            is_there = pc.and_(is_one_of(reason, {Reason.ALREADY_EXISTS}), pc.not_equal(confirmed, ""))
            marked = pc.binary_join_element_wise(EXISTS, confirmed, "")
            confirmed = pc.if_else(pc.fill_null(is_there, fill_value=False), marked, confirmed)
        states = {
            "key": key,
            "salesforce_id": lead_id,
            "action": action,
            "stage": pc.if_else(pc.fill_null(pc.equal(new, ""), fill_value=True), old, new),
            "finished_at": moment,
            "is_moved": pc.and_(pc.equal(action, str(Action.UPDATED)), new.is_valid()),
            "is_current": pc.or_(pc.invert(is_unchanged), is_found),
            "confirmed": pc.if_else(is_one_of(reason, _UNCONFIRMED), pa.scalar(None, pa.string()), confirmed),
        }
        yield pa.RecordBatch.from_arrays([states[name] for name in wanted.names], schema=wanted)


def open_rows(folder: ResultsFolder) -> Iterator[pa.RecordBatch]:
    """Yield ``key`` and ``finished_at`` of rows that were not sent, or got no answer.

    Nobody knows what their leads hold.
    """
    import pyarrow.compute as pc

    for batch in _batches(folder.directory, ("key", "action", "finished_at"), size=_MANY):
        is_open = pc.and_(pc.equal(batch.column("action"), str(Action.NOT_SENT)), pc.not_equal(batch.column("key"), ""))
        if is_open.true_count:
            yield batch.filter(is_open).select(["key", "finished_at"])


def any_unknown(folder: ResultsFolder) -> bool:
    """Return whether there is a row of which nobody knows whether it was written."""
    return _any(folder, "reason", Reason.OUTCOME_UNKNOWN)


def any_created(folder: ResultsFolder) -> bool:
    """Return whether there is a row that has created its lead."""
    return _any(folder, "action", Action.CREATED)


def _any(folder: ResultsFolder, column: str, value: str) -> bool:
    return any(value in batch.column(column).unique().to_pylist() for batch in _batches(folder.directory, (column,)))


def rows_left_alone(directory: Directory) -> Iterator[pa.RecordBatch]:
    """Yield ``key`` and ``salesforce_id`` of an execution's rows whose values were found, or known, to be right."""
    import pyarrow.compute as pc

    for batch in _batches(directory, ("key", "salesforce_id", "reason"), size=_MANY):
        same = batch.filter(pc.equal(batch.column("reason"), str(Reason.SAME_VALUES)))
        yield same.select(["key", "salesforce_id"])


def created_ids(
    root: Directory, ids: Collection[str], since: datetime, *, apart_from: Directory | None = None
) -> set[str]:
    """Return those of some lead ids that rows recorded anywhere below a folder created.

    That other rows merely found a lead says nothing of whose it is.

    :param root: such as the folder of a Dag, with all its runs and tasks.
    :param since: no part that is older speaks of them.
    :param apart_from: an execution whose rows do not count.
    :raises ResultsError: where a part cannot be read.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(ids, pa.string())
    found: set[str] = set()
    read: set[str] = set()
    own = f"{apart_from.path}/" if apart_from else None
    while waiting := [name for name in parts_below(root, since - CLOCKS) if name not in read]:
        for name in waiting:
            read.add(name)
            if own is not None and root.file(name).startswith(own):
                continue
            try:
                for batch in _batches_of(root, name, ("salesforce_id", "action")):
                    created = batch.column(0).filter(pc.equal(batch.column(1), str(Action.CREATED)))
                    found.update(created.filter(pc.is_in(created, wanted)).to_pylist())
            except FileNotFoundError:
                # A task that ends just now joins its parts; the next listing has the new one.
                continue
    return found


def _batches(directory: Directory, columns: Sequence[str], *, size: int = _BATCH) -> Iterator[pa.RecordBatch]:
    for name in part_names(directory):
        yield from _batches_of(directory, name, columns, size=size)


def _batches_of(
    directory: Directory, name: str, columns: Sequence[str], *, size: int = _BATCH
) -> Iterator[pa.RecordBatch]:
    with readable(directory.file(name)), directory.parquet(name) as file:
        lacking = _ALWAYS_THERE.intersection(columns).difference(file.schema_arrow.names)
        if lacking:
            raise ValueError(f"there is no column {', '.join(sorted(lacking))}")
        yield from file.iter_batches(batch_size=size, columns=list(columns))


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

    tally = Tally()
    with readable(directory.file(name)), directory.parquet(name, read_dictionary=_COUNTED) as file:
        for batch in file.iter_batches(batch_size=_COUNTED_TOGETHER, columns=list(_COUNTED)):
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


def other_executions(folder: ResultsFolder, *, by_rows: bool = False) -> tuple[Entry, ...]:
    """Return what the other executions of a task instance came to, oldest first.

    :param folder: of the execution that they are told to.
    :param by_rows: count the rows that live ones recorded, and believe no report: where records are lost, the execution
        at hand may count anew what they lack.
    :raises OSError: where the storage cannot be read.
    """
    names = [name for name in execution_names(folder) if name != folder.execution]
    reported = gathered(written_reports(folder, names))
    told = {entry["execution"]: entry for entry in reported if entry["dry_run"] or not by_rows}
    told.pop(folder.execution, None)
    counted = (_counted(replace(folder, execution=name)) for name in names if name not in told)
    return in_order([*told.values(), *(entry for entry in counted if entry is not None)])


def execution_names(folder: ResultsFolder) -> list[str]:
    """Return the names of the task instance's executions, newest first."""
    return sorted(filter(is_execution, folder.directory.parent.folders()), reverse=True)


def written_reports(folder: ResultsFolder, names: Sequence[str]) -> Iterator[tuple[str, SyncReport]]:
    """Yield the reports of some executions, those that can be read."""
    for name in names:
        directory = replace(folder, execution=name).directory
        if not directory.has(REPORT):
            continue
        try:
            report = SyncReport.from_json(read_small_json(directory, REPORT))
        except ValueError as problem:
            log.warning("The report in %s is none: %s", directory.path, problem)
            continue
        yield name, report


def _counted(folder: ResultsFolder) -> Entry | None:
    """Return what an execution without a report recorded; ``None`` where it came to nothing, or nobody can tell."""
    try:
        tally = tally_of(folder)
    except (OSError, ResultsError) as problem:
        log.warning("What the execution in %s did cannot be read: %s", folder.url, problem)
        return None
    return entry_of_rows(folder.execution, tally, dry_run=folder.execution.endswith(DRY_RUN)) if tally.read else None


def reject_examples(url: str, counts: Mapping[str, int], *, seconds: float) -> dict[str, Example]:
    """Return a few of the rejected rows by error code, the first ones in the results, reading no more than it has to.

    Memory holds one group of rows (:data:`~.parts.GROUP_ROWS`), and of most of them two columns.

    :param url: folder of an execution, a report's ``results_path``.
    :param counts: the error codes to look for, with the number of rows of each.
    :param seconds: how long to look; what was found by then is returned.
    :raises OSError, ValueError: where the results cannot be read.
    """
    deadline = time.monotonic() + seconds
    found: dict[str, Example] = {}
    wanted = {code: min(count, TOP_KEYS) for code, count in counts.items()}
    directory = directory_at(url)
    for name in part_names(directory):
        with directory.parquet(name) as file:
            for group in range(file.num_row_groups):
                open_codes = {code: n for code, n in wanted.items() if code not in found or len(found[code].keys) < n}
                if not open_codes or time.monotonic() > deadline:
                    return found
                _look(file, group, open_codes, found)
    return found


def _look(file: pq.ParquetFile, group: int, wanted: Mapping[str, int], found: dict[str, Example]) -> None:
    """Add what one group of rows has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = file.read_row_group(group, columns=["action", "error_code"])
    is_wanted = pc.and_(
        pc.equal(table["action"], str(Action.REJECTED)), pc.is_in(table["error_code"], pa.array(list(wanted)))
    )
    if not pc.any(is_wanted).as_py():
        return
    columns = ["key", "error_code", "api", "error_fields", "error_message"]
    rejects = file.read_row_group(group, columns=columns).filter(is_wanted)
    for code, count in wanted.items():
        rows = rejects.filter(pc.equal(rejects["error_code"], code)).slice(0, count).to_pylist()
        keys = tuple(row["key"] or "" for row in rows)
        if code in found:
            found[code] = replace(found[code], keys=(found[code].keys + keys)[:count])
        elif rows:
            found[code] = Example(
                keys=keys,
                was_sent=rows[0]["api"] is not None,
                fields=tuple(rows[0]["error_fields"] or ()),
                message=rows[0]["error_message"],
            )
