"""Writes what became of each row: results in parts, and rejects."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from airflow_provider_sfleads.core.message import error_words, is_named, log_name
from airflow_provider_sfleads.core.outcome import Action, Outcome, Row
from airflow_provider_sfleads.core.uninterrupted import uninterrupted
from airflow_provider_sfleads.results.columns import complete, schema, to_batch
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.parts import (
    FORM,
    GROUP_ROWS,
    MARK,
    join_parts,
    last_number,
    marked_as,
    marks,
    part_name,
    part_names,
    remove_stale,
)
from airflow_provider_sfleads.results.rejects import Rejects

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

log = logging.getLogger(__name__)

_REJECTS_LOGGED = 5


class ResultsWriter:
    """Writes one line of results per row, and the rejected rows once more into ``rejects.csv``.

    Rows go into parts ``results-00000.parquet``, ``results-00001.parquet`` ... A part appears under its name when it
    is complete, and its rejects before it; what a killed worker leaves behind is whole parts. Leaving the context
    completes the last part and joins the rejects, also when an error leaves it: what is settled stays recorded. Parts
    that :meth:`flush` made small are joined then.
    An execution without rows still has one empty part and a rejects file with nothing but its header.

    Memory: at most 10,000 outcomes, or one batch more than that.
    """

    def __init__(self, directory: Directory, *, columns: tuple[str, ...], resume: bool, part_rows: int) -> None:
        self.directory = directory
        self._resume = resume
        self._part_rows = part_rows
        self._rejects = Rejects(directory, columns=columns)
        self._waiting: list[Outcome] = []
        self._batches: list[pa.RecordBatch] = []
        self._in_group = 0
        self._in_part = 0
        self._number = 0
        self._mark: str | None = None
        self._draft: Path | None = None
        self._parquet: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        self.directory.remove_drafts()
        if self._resume:
            self.directory.close_off()
        remove_stale(self.directory)
        parts = part_names(self.directory)
        self._rejects.start(resume=self._resume, parts=parts)
        for name in parts:
            if self._resume:
                self._drop_not_sent(name)
            else:
                self.directory.remove(name)
        if self._resume and parts:
            self._number = last_number(parts[-1]) + 1
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        if not part_names(self.directory):
            self._complete_part()
        self._rejects.join()
        join_parts(self.directory, part_rows=self._part_rows)

    def write(self, outcome: Outcome, values: Row | None = None) -> None:
        """Record one row.

        What is full is written first: where the storage fails, the row is not recorded, and may be given again.

        :param values: the row as it was read; given for rejected rows, left out for all others.
        """
        self._make_room(1)
        if outcome.action is Action.REJECTED:
            self._rejects.add(values or {}, outcome.error_code, outcome.error_message)
        self._waiting.append(outcome)
        self._count(1)

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Record rows by the column; rejected rows go through :meth:`write`, which takes the original row.

        A batch stays together: a part is larger than asked where a single batch is.

        :param batch: columns of the results; those it does not have are null.
        """
        if not batch.num_rows:
            return
        lines = complete(batch)
        self._make_room(batch.num_rows)
        self._gather_waiting()
        self._batches.append(lines)
        self._count(batch.num_rows)

    @contextmanager
    def marked(self, mark: str) -> Iterator[None]:
        """Record what is written within the block in one part of its own, which bears ``mark``: all of it or nothing.

        A try that resumes reads from :func:`marks` what is recorded. The part is there even where no row was
        written, and it is never split. Where an exception leaves the block, its rows and rejects are forgotten.
        """
        self.flush()
        self._mark = mark
        try:
            yield
        except BaseException:
            self._forget_part()
            raise
        self._complete_part()

    def flush(self) -> None:
        """Make everything written so far durable, by completing the part at hand; a marked one completes itself."""
        if self._is_closed or (self._in_part and self._mark is None):
            self._complete_part()

    @property
    def next_part(self) -> int:
        """Number of the part that comes next."""
        return self._number

    @property
    def _is_closed(self) -> bool:
        """Whether the part at hand is whole, and only its name is missing, since the storage failed."""
        return self._draft is not None and self._parquet is None

    def _make_room(self, rows: int) -> None:
        is_full = self._mark is None and self._in_part > 0 and self._in_part + rows > self._part_rows
        if is_full or self._is_closed:
            self._complete_part()
        elif self._in_group >= GROUP_ROWS:
            uninterrupted(self._write_group)

    def _gather_waiting(self) -> None:
        if self._waiting:
            self._batches.append(to_batch(self._waiting))
            self._waiting.clear()

    def _count(self, rows: int) -> None:
        self._in_group += rows
        self._in_part += rows

    def _write_group(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._parquet is None:
            self._draft = self.directory.new_draft(part_name(self._number))
            self._parquet = pq.ParquetWriter(self._draft, schema(), **FORM)
        self._gather_waiting()
        if self._batches:
            self._parquet.write_table(pa.Table.from_batches(self._batches), row_group_size=self._in_group)
            self._batches.clear()
            self._in_group = 0

    def _complete_part(self) -> None:
        uninterrupted(self._carry_out_part)

    def _carry_out_part(self) -> None:
        if not self._is_closed:
            self._write_group()
        if self._draft is None:
            return
        part = part_name(self._number)
        # Step by step, so that a storage that fails can be asked again without writing the part anew.
        if self._parquet is not None:
            if self._mark is not None:
                self._parquet.add_key_value_metadata({MARK: self._mark.encode()})
            self._parquet.close()
            self._parquet = None
            self._rejects.write_piece(part)
        self.directory.publish(self._draft, part)
        self._begin_part()
        self._number += 1

    def _forget_part(self) -> None:
        if self._parquet is not None:
            self._parquet.close()
        if self._draft is not None:
            self._draft.unlink(missing_ok=True)
        self._rejects.forget_piece()
        self._begin_part()

    def _begin_part(self) -> None:
        self._parquet = self._draft = self._mark = None
        self._waiting.clear()
        self._batches.clear()
        self._in_group = self._in_part = 0

    def _drop_not_sent(self, name: str) -> None:
        """Rewrite a part of an earlier try without the rows that this try is to settle; its mark stays."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self.directory.parquet(name) as file:
            # Most parts stay as they are, and may be large: one column tells.
            actions = (batch.column(0) for batch in file.iter_batches(columns=["action"]))
            if not any(pc.any(pc.equal(action, str(Action.NOT_SENT))).as_py() for action in actions):
                return
            with self.directory.complete(name) as draft, pq.ParquetWriter(draft, file.schema_arrow, **FORM) as kept:
                kept.add_key_value_metadata(marked_as(file.metadata))
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group)
                    kept.write_table(table.filter(pc.not_equal(table["action"], str(Action.NOT_SENT))))


@dataclass(slots=True)
class Recorder:
    """Writes outcomes, and logs the first rejects of each kind by key, so that the log alone says what is wrong.

    :param noted: told how far the results have come, each time something was made durable.
    """

    writer: ResultsWriter
    salt: str
    noted: Callable[[int], None] = lambda _next_part: None
    logged: Counter[str] = field(default_factory=Counter)

    def add(self, outcomes: pa.RecordBatch) -> None:
        """Take outcomes by the column; none of them is a reject."""
        self.writer.write_batch(outcomes)

    @contextmanager
    def marked(self, mark: str) -> Iterator[None]:
        """Record what is written in the block all together, under a mark, or not at all."""
        with self.writer.marked(mark):
            yield
        self.noted(self.writer.next_part)

    def marks(self) -> Collection[str]:
        """Return the marks there are."""
        return marks(self.writer.directory)

    def flush(self) -> None:
        """Make what was taken durable."""
        self.writer.flush()
        self.noted(self.writer.next_part)

    def write(self, outcome: Outcome, values: Row | None) -> None:
        """Take one outcome."""
        self.writer.write(outcome, values)
        if outcome.action is not Action.REJECTED:
            return
        code = outcome.error_code or ""
        self.logged[code] += 1
        if self.logged[code] == _REJECTS_LOGGED + 1:
            log.warning("Further rejects with %s are in rejects.csv only.", code)
        elif self.logged[code] <= _REJECTS_LOGGED:
            said = error_words(
                was_sent=outcome.api is not None, fields=outcome.error_fields, message=outcome.error_message
            )
            name = f"key {log_name(outcome.key, salt=self.salt)}: " if is_named(code) else ""
            log.warning("Rejected: %s%s (%s)", name, code, said or "no field named")
