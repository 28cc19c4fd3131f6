"""Writes what became of each row: results in parts, and rejects."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from airflow_provider_sfleads.core.outcome import Action, Outcome
from airflow_provider_sfleads.core.rows import Row
from airflow_provider_sfleads.results.columns import schema, to_batch
from airflow_provider_sfleads.results.files import Directory
from airflow_provider_sfleads.results.rejects import Rejects

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_PART = re.compile(r"results-(\d{5,})\.parquet")
_GROUP_ROWS = 10_000


def part_names(directory: Directory) -> list[str]:
    """Return the names of the complete parts, in the order they were written."""
    return sorted((name for name in directory.names() if _PART.fullmatch(name)), key=_part_number)


def _part_number(name: str) -> int:
    match = _PART.fullmatch(name)
    return int(match[1]) if match else -1


class ResultsWriter:
    """Writes one line of results per row, and the rejected rows once more into ``rejects.csv``.

    Rows go into parts ``results-00000.parquet``, ``results-00001.parquet`` ... A part appears under its name when it
    is complete, and its rejects before it; what a killed worker leaves behind is whole parts. Leaving the context
    completes the last part and joins the rejects, also when an error leaves it: what is settled stays recorded.
    An execution without rows still has one empty part and a rejects file with nothing but its header.

    Memory: at most 10,000 outcomes.
    """

    def __init__(self, directory: Directory, *, columns: tuple[str, ...], resume: bool, part_rows: int) -> None:
        self._directory = directory
        self._resume = resume
        self._part_rows = part_rows
        self._rejects = Rejects(directory, columns=columns)
        self._waiting: list[Outcome] = []
        self._in_part = 0
        self._number = 0
        self._draft: Path | None = None
        self._parquet: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        self._directory.remove_drafts()
        parts = part_names(self._directory)
        self._rejects.start(resume=self._resume, parts=parts)
        for name in parts:
            if self._resume:
                self._drop_not_sent(name)
            else:
                self._directory.remove(name)
        if self._resume and parts:
            self._number = _part_number(parts[-1]) + 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        if not part_names(self._directory):
            self._complete_part()
        self._rejects.join()

    def write(self, outcome: Outcome, values: Row | None = None) -> None:
        """Record one row.

        What is full is written first: where the storage fails, the row is not recorded, and may be given again.

        :param values: the row as it was read; given for rejected rows, left out for all others.
        """
        if self._in_part >= self._part_rows:
            self._complete_part()
        elif len(self._waiting) >= _GROUP_ROWS:
            self._write_group()
        if outcome.action is Action.REJECTED:
            self._rejects.add(values or {}, outcome.error_code, outcome.error_message)
        self._waiting.append(outcome)
        self._in_part += 1

    def flush(self) -> None:
        """Make everything written so far durable, by completing the part at hand."""
        if self._in_part:
            self._complete_part()

    def _write_group(self) -> None:
        import pyarrow.parquet as pq

        if self._parquet is None:
            self._draft = self._directory.new_draft(self._part)
            self._parquet = pq.ParquetWriter(self._draft, schema(), compression="zstd")
        if self._waiting:
            self._parquet.write_batch(to_batch(self._waiting))
            self._waiting.clear()

    @property
    def _part(self) -> str:
        return f"results-{self._number:05}.parquet"

    def _complete_part(self) -> None:
        if self._draft is None or self._parquet is not None or self._waiting:
            self._write_group()
        if self._draft is None:
            return
        # Step by step, so that a storage that fails can be asked again without writing the part anew.
        if self._parquet is not None:
            self._parquet.close()
            self._parquet = None
            self._rejects.write_piece(self._part)
        self._directory.publish(self._draft, self._part)
        self._draft = None
        self._in_part = 0
        self._number += 1

    def _drop_not_sent(self, name: str) -> None:
        """Rewrite a part of an earlier try without the rows that this try is to settle."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self._directory.fs.open(self._directory.file(name), "rb") as stream:
            table = pq.read_table(stream)
        kept = table.filter(pc.not_equal(table["action"], str(Action.NOT_SENT)))
        if kept.num_rows < table.num_rows:
            with self._directory.complete(name) as draft:
                pq.write_table(kept, draft, compression="zstd", row_group_size=_GROUP_ROWS)
